import { rows } from "../rows.mjs";

export const dynamic = "force-dynamic";

const columns = ["Device", "State", "Class", "GPU", "Backend", "Speed", "Tiles", "Work", "Checks", "Earned"];

export default function Page() {
  return (
    <main>
      <h1>Devices</h1>
      <table>
        <thead>
          <tr>{columns.map((name) => <th key={name}>{name}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              <td><a href={`/devices/${row.id}`}>{row.id}</a></td>
              <td>{row.state}</td>
              <td>{row.class}</td>
              <td>{row.name}</td>
              <td>{row.backend}</td>
              <td>{row.speed}</td>
              <td>{row.tiles}</td>
              <td>{row.work}</td>
              <td>{row.checks}</td>
              <td>{row.earned}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </main>
  );
}
