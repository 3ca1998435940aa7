import { rows } from "../../rows.mjs";

export const load = () => ({ rows });
