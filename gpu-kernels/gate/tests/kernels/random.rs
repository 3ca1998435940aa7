//! Kernels made up at random, which the gate admits: of every statement that a kernel of records may have.

const GLOBALS: &str = "
struct Pair { left: u32, right: vec2u, rest: array<u32, 3> }
const TABLE = array<u32, 5>(3u, 1u, 4u, 1u, 5u);
const SEED: u32 = 0x9e3779b9u;
alias Row = vec4u;
@group(0) @binding(0) var<storage, read> source: array<vec2u>;
@group(0) @binding(1) var<storage, read_write> result: array<Row>;
var<private> kept: array<u32, 6>;
var<private> turns: u32 = 1u;
fn mixed(a: u32, b: u32) -> u32 { turns += 1u; return (a ^ (b >> 3u)) * SEED + turns; }
fn first_set(words: ptr<function, array<u32, 7>>, at: u32) -> u32 {
    for (var i = at % 7u; i < 7u; i++) { if (*words)[i] != 0u { return i; } (*words)[i] += at; }
    return 7u;
}
fn pair_of(a: u32) -> Pair { var p: Pair; p.left = a; p.right = vec2u(a, a + 1u); p.rest[a % 3u] = a; return p; }
fn shift(place: ptr<private, u32>, by: u32) -> bool { *place = *place << (by % 5u) | 1u; return (*place & 8u) == 8u; }
";

/// Writes a kernel by reading off choices; with none left, it takes the shortest way.
struct Writer<'a> {
    choices: std::slice::Iter<'a, u8>,
    text: String,
    names: usize,
    /// Whether `break` and `continue` mean anything here.
    in_loop: bool,
    in_switch: bool,
}

impl Writer<'_> {
    fn choose(&mut self, of: usize) -> usize {
        self.choices.next().map_or(0, |&choice| usize::from(choice) % of)
    }

    fn say(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("n{}", self.names)
    }

    /// A word.
    fn word(&mut self, depth: usize) -> String {
        let leaves = ["x", "y", "id.x", "turns", "7u", "source[id.x].y", "TABLE[2]", "pair.left", "v.z"];
        if depth == 0 {
            return leaves[self.choose(leaves.len())].to_owned();
        }
        let (a, b) = (self.word(depth - 1), self.word(depth - 1));
        match self.choose(24) {
            0 => a,
            1 => format!("({a} + {b})"),
            2 => format!("({a} * {b})"),
            // What the compiler knows must not be zero, nor lose bits; what it cannot know may.
            3 => format!("({a} / ({b} ^ (lane & 0u)))"),
            4 => format!("({a} % ({b} | 1u))"),
            5 => format!("({a} << (({b} ^ (lane & 0u)) % 32u))"),
            6 => format!("bitcast<u32>(bitcast<i32>({a}) >> ({b} & 31u))"),
            7 => format!("local[{a} % 7u]"),
            8 => format!("kept[{a} % 6u]"),
            9 => format!("TABLE[{a} % 5u]"),
            10 => format!("pair.rest[{a} % 3u]"),
            11 => format!("v[{a} % 4u]"),
            12 => format!("grid[{a} % 2u][{b} % 3u]"),
            13 => format!("mixed({a}, {b})"),
            14 => format!("first_set(&local, {a})"),
            15 => format!("select({a}, {b}, {})", self.truth(0)),
            16 => format!("pair_of({a}).rest[{b} % 3u]"),
            17 => format!("source[{a} % 96u].x"),
            18 => format!("min({a}, max({b}, countOneBits({a})))"),
            19 => format!("extractBits({a}, 3u, 9u)"),
            20 => format!("(vec3u({a}, {b}, 1u).zxy * 3u)[{a} % 3u]"),
            21 => format!("dot(vec2u({a}, {b}), vec2u(3u, {b}))"),
            22 => format!("u32(-i32({a} % 1000u) / i32({b} % 9u + 1u))"),
            _ => format!("u32(f32({a} % 1024u) * 0.5)"),
        }
    }

    fn truth(&mut self, depth: usize) -> String {
        let (a, b) = (self.word(depth), self.word(depth));
        match self.choose(6) {
            0 => format!("{a} < {b}"),
            1 => format!("({a} & 1u) == 0u"),
            2 => format!("({a} != {b} && {b} > 3u)"),
            3 => format!("({a} == {b} || shift(&turns, {a}))"),
            4 => format!("any(vec2u({a}, {b}) == v.xy)"),
            _ => format!("!({a} >= {b})"),
        }
    }

    /// Where a word can be put.
    fn place(&mut self) -> String {
        let index = self.word(1);
        match self.choose(10) {
            0 => "x".to_owned(),
            1 => "y".to_owned(),
            2 => format!("local[{index} % 7u]"),
            3 => format!("kept[{index} % 6u]"),
            4 => format!("pair.rest[{index} % 3u]"),
            5 => "pair.right.y".to_owned(),
            6 => format!("v[{index} % 4u]"),
            7 => format!("grid[{index} % 2u][{index} % 3u]"),
            8 => format!("result[id.x][{index} % 4u]"),
            _ => "v.w".to_owned(),
        }
    }

    fn block(&mut self, depth: usize) {
        for _ in 0..=self.choose(4) {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: usize) {
        let kind = self.choose(if depth == 0 { 7 } else { 14 });
        match kind {
            0 | 1 => {
                let (place, value) = (self.place(), self.word(2));
                let op = ["=", "+=", "^=", "-=", "*="][self.choose(5)];
                self.say(&format!("{place} {op} {value};"));
            }
            2 => {
                let (name, value) = (self.name(), self.word(2));
                self.say(&format!("let {name} = {value}; x ^= {name};"));
            }
            3 => {
                let (name, index, value) = (self.name(), self.word(1), self.word(1));
                self.say(&format!("let {name} = &local[{index} % 7u]; *{name} += {value};"));
            }
            4 => {
                let place = self.place();
                self.say(&format!("{place}++;"));
            }
            5 => {
                let truth = self.truth(1);
                let way = match (self.choose(3), self.in_loop, self.in_switch) {
                    (0, true, _) | (0, _, true) => "break;",
                    (1, true, _) => "continue;",
                    _ => "result[id.x].w = x; return;",
                };
                self.say(&format!("if {truth} {{ {way} }}"));
            }
            6 => {
                let (a, b) = (self.word(1), self.word(1));
                self.say(&format!("pair = pair_of({a}); v = v.wzyx + vec4u({b});"));
            }
            7 => {
                let truth = self.truth(1);
                self.say(&format!("if {truth} {{"));
                self.block(depth - 1);
                self.text.push_str("} else {\n");
                self.block(depth - 1);
                self.text.push_str("}\n");
            }
            8 => {
                let selector = self.word(1);
                self.say(&format!("switch {selector} % 4u {{ case 0u, 2u: {{"));
                let before = std::mem::replace(&mut self.in_switch, true);
                self.block(depth - 1);
                self.text.push_str("} default: {\n");
                self.block(depth - 1);
                self.text.push_str("} case 3u: {\n");
                self.block(depth - 1);
                self.text.push_str("} }\n");
                self.in_switch = before;
            }
            9 => {
                self.text.push_str("{\nvar x = y;\n");
                self.block(depth - 1);
                self.text.push_str("y = x;\n}\n");
            }
            _ => self.round(depth - 1, kind),
        }
    }

    fn round(&mut self, depth: usize, kind: usize) {
        let (name, turns) = (self.name(), self.word(1));
        let before = (std::mem::replace(&mut self.in_loop, true), std::mem::replace(&mut self.in_switch, false));
        let (open, close) = match kind {
            10 => (format!("for (var {name} = 0u; {name} < {turns} % 6u; {name} += 1u) {{"), "}".to_owned()),
            11 => (
                format!("var {name} = {turns} % 5u; while {name} > 0u {{ {name}--;"),
                "}".to_owned(),
            ),
            12 => (
                format!("var {name} = 0u; let {name}_most = {turns} % 5u; loop {{ if {name} >= {name}_most {{ break; }}"),
                format!("continuing {{ {name}++; x += {name}; }} }}"),
            ),
            _ => (
                format!("var {name} = 0u; loop {{ let {name}_now = mixed(x, {name});"),
                format!("continuing {{ {name} += 1u; let {name}_last = {name} > 4u; y ^= {name}; break if {name}_last || ({name}_now_ & 15u) == 0u; }} }}")
                    .replace(&format!("{name}_now_"), "y"),
            ),
        };
        self.say(&open);
        self.block(depth);
        self.say(&close);
        (self.in_loop, self.in_switch) = before;
    }
}

/// A kernel over records of two words, which gives four.
pub(crate) fn kernel(choices: &[u8]) -> String {
    let mut writer =
        Writer { choices: choices.iter(), text: String::new(), names: 0, in_loop: false, in_switch: false };
    writer.block(3);
    writer.block(3);
    format!(
        "{GLOBALS}@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {{
var x = source[id.x].x; var y = lane; var v = vec4u(1u, 2u, x, y); var pair: Pair;
var local = array<u32, 7>(); var grid = array<vec3u, 2>(vec3u(x), vec3u(1u, 2u, 3u));
{}result[id.x] += Row(x, y, v.x ^ v.w + pair.left, local[x % 7u] + kept[y % 6u] + grid[1].z + turns);
}}",
        writer.text
    )
}
