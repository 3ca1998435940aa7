//! A job as somebody would order it again without the portal: by the command, by Python, by curl. What is pasted runs as it
//! is, wherever it is pasted: it needs the account's key in `TESSERA_KEY`, and nothing else.

use std::fmt::Write;

use wire::{Job, SubmitJob};

use super::order_file::OrderFile;

/// What the three have in common.
pub struct Repeat<'a> {
    /// The site, as `https://host`.
    pub origin: &'a str,
    pub job: &'a Job,
    pub files: &'a [OrderFile],
    /// The subcommand, and what it is told besides files, name and privacy class.
    pub arguments: Vec<String>,
    /// The format that the result comes in.
    pub format: &'static str,
}

impl Repeat<'_> {
    fn order(&self) -> SubmitJob {
        let Job { program, privacy, name, file_names, hold, .. } = self.job.clone();
        SubmitJob { privacy, name, file_names, limit: Some(hold), ..SubmitJob::new(program) }
    }

    fn order_text(&self) -> String {
        // It was JSON when it came.
        serde_json::to_string(&self.order()).unwrap_or_default()
    }

    /// A name for the result beside whoever runs it.
    fn result_name(&self) -> String {
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name: String = self.job.name.chars().map(|c| if is_plain(c) { c } else { '_' }).take(60).collect();
        let name = name.trim_matches(['_', '.', '-']);
        format!("{}.{}", if name.is_empty() { "result" } else { name }, self.format)
    }

    /// For a shell. Files that are not there are fetched first.
    pub fn command(&self) -> String {
        let mut text = format!("export TESSERA_URL={}\n", quoted(self.origin));
        let named: Vec<(&OrderFile, String)> =
            self.files.iter().map(|file| (file, file.local_name(self.job))).collect();
        for (file, name) in &named {
            let (part, name) = (quoted(&format!("{name}.part")), quoted(name));
            let fetch = format!("curl -fsS -H \"authorization: Bearer $TESSERA_KEY\" -o {part}");
            let fetch = format!("{fetch} \"$TESSERA_URL/v1/blobs/{}\" && mv {part} {name}", file.hash);
            line(&mut text, &format!("test -e {name} || {{ {fetch}; }}"));
        }
        let mut parts = vec![format!("tessera {}", self.arguments.first().cloned().unwrap_or_default())];
        for (file, name) in &named {
            parts.push(match file.field.strip_prefix("inputs.") {
                Some(input) => format!("--input={}", quoted(&format!("{input}={name}"))),
                None => format!("--{}={}", file.field, quoted(name)),
            });
        }
        parts.extend(self.arguments.iter().skip(1).cloned());
        if !self.job.name.is_empty() {
            parts.push(format!("--name={}", quoted(&self.job.name)));
        }
        if self.job.privacy != wire::Privacy::default() {
            parts.push(format!("--privacy={}", self.job.privacy.name()));
        }
        parts.push(format!("--limit={}", self.job.hold));
        parts.push(format!("--output={}", quoted(&self.result_name())));
        line(&mut text, &parts.join(" \\\n  "));
        text
    }

    /// For a shell with curl alone.
    pub fn curl(&self) -> String {
        let (url, order, result) = (quoted(self.origin), quoted(&self.order_text()), quoted(&self.result_name()));
        let format = self.format;
        format!(
            "URL={url}
JOB=$(curl -fsS \"$URL/v1/jobs\" -H \"authorization: Bearer $TESSERA_KEY\" \\
  -H 'content-type: application/json' -d {order} |
  sed -n 's/^{{\"id\":\"\\([^\"]*\\)\".*/\\1/p')
echo \"$URL/jobs/$JOB\"
curl -fsSN -o /dev/null \"$URL/v1/jobs/$JOB/events\" -H \"authorization: Bearer $TESSERA_KEY\"
curl -fsS -o {result} \"$URL/v1/jobs/$JOB/result?format={format}\" -H \"authorization: Bearer $TESSERA_KEY\"
"
        )
    }

    /// For Python 3 with what comes with it.
    pub fn python(&self) -> String {
        let order = python_text(&self.order_text());
        let (origin, result, format) = (python_text(self.origin), python_text(&self.result_name()), self.format);
        format!(
            "import json, os, urllib.request

URL = {origin}
ORDER = json.loads({order})


def ask(path, body=None):
    headers = {{\"authorization\": \"Bearer \" + os.environ[\"TESSERA_KEY\"], \"content-type\": \"application/json\"}}
    return urllib.request.urlopen(urllib.request.Request(URL + path, body, headers))


def upload(path):
    with open(path, \"rb\") as file:
        return json.load(ask(\"/v1/blobs\", file.read()))[\"hash\"]


# Over other data: ORDER[\"program\"][\"input\"] = upload(\"other.npy\")
job = json.load(ask(\"/v1/jobs\", json.dumps(ORDER).encode()))
print(URL + \"/jobs/\" + job[\"id\"])
for _ in ask(\"/v1/jobs/\" + job[\"id\"] + \"/events\"):
    pass  # until the job has ended
job = json.load(ask(\"/v1/jobs/\" + job[\"id\"]))
if job[\"state\"] != \"done\":
    raise SystemExit(\"the job is \" + job[\"state\"])
with open({result}, \"wb\") as file:
    file.write(ask(\"/v1/jobs/\" + job[\"id\"] + \"/result?format={format}\").read())
"
        )
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").unwrap_or_default();
}

/// One word of a POSIX shell, whatever is in it.
pub fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '=' | ',');
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A text of Python's, which escapes as JSON does.
fn python_text(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use wire::{BlobHash, JobId, Privacy};

    use super::*;

    fn job(name: &str) -> Job {
        let hash = BlobHash([5; 32]);
        let text = serde_json::json!({
            "id": JobId::from_parts(1, [0; 10]), "name": name, "state": "done", "privacy": "own", "published": false,
            "program": { "kind": "infer", "model": hash, "input": hash }, "rows": 8, "inputs": [], "outputs": [],
            "tile_rows": 8, "tiles": 1, "verified_tiles": 1, "recomputed_tiles": 1, "devices": 1, "flops": 1, "price": 1,
            "hold": 1, "cost": 1, "created_at": 1, "file_names": { "model": "-net's.onnx", "input": "../rows.npy" },
        });
        serde_json::from_value(text).unwrap()
    }

    fn files() -> Vec<OrderFile> {
        let hash = BlobHash([5; 32]);
        vec![OrderFile::new("model", "Model", hash, "model.onnx"), OrderFile::new("input", "Input", hash, "input.npy")]
    }

    fn repeat<'a>(job: &'a Job, files: &'a [OrderFile]) -> Repeat<'a> {
        Repeat { origin: "https://tessera.example", job, files, arguments: vec!["infer".to_owned()], format: "npy" }
    }

    #[test]
    fn whatever_a_job_and_its_files_are_called_a_shell_reads_one_word_each() {
        let (job, files) = (job("Bob's $(rm -rf /) run"), files());

        let text = repeat(&job, &files).command();

        let hash = "05".repeat(32);
        let expected = format!(
            r#"export TESSERA_URL=https://tessera.example
test -e '05050505--net'\''s.onnx' || {{ curl -fsS -H "authorization: Bearer $TESSERA_KEY" -o '05050505--net'\''s.onnx.part' "$TESSERA_URL/v1/blobs/{hash}" && mv '05050505--net'\''s.onnx.part' '05050505--net'\''s.onnx'; }}
test -e 05050505-rows.npy || {{ curl -fsS -H "authorization: Bearer $TESSERA_KEY" -o 05050505-rows.npy.part "$TESSERA_URL/v1/blobs/{hash}" && mv 05050505-rows.npy.part 05050505-rows.npy; }}
tessera infer \
  --model='05050505--net'\''s.onnx' \
  --input=05050505-rows.npy \
  --name='Bob'\''s $(rm -rf /) run' \
  --privacy=own \
  --limit=0.000001 \
  --output=Bob_s___rm_-rf____run.npy
"#
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn what_a_model_reads_is_an_array_whatever_it_was_made_of() {
        let mut job = job("");
        for (given, expected) in
            [("photos", "05050505-photos.npy"), ("a/b.NPZ", "05050505-b.NPZ"), ("..", "05050505-input.npy")]
        {
            job.file_names = [("input".to_owned(), given.to_owned())].into();
            assert_eq!(files()[1].local_name(&job), expected);
        }
    }

    #[test]
    fn an_order_is_the_same_in_every_language() {
        let (mut job, files) = (job("A"), files());
        job.privacy = Privacy::Open;
        let order = repeat(&job, &files).order_text();

        assert!(repeat(&job, &files).curl().contains(&format!("-d {}", quoted(&order))));
        assert!(repeat(&job, &files).python().contains(&serde_json::to_string(&order).unwrap()));
        assert!(repeat(&job, &files).python().contains("with open(\"A.npy\", \"wb\")"));
    }
}
