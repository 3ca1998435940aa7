use gpu_kernels::graph::{Feed, Graph, Tensor, onnx};
use prost::Message;
fn main() {
    let (mut ok, mut mixed, mut bad) = (0, 0, 0);
    for folder in std::env::args().skip(1) {
        let Ok(graph) = Graph::parse(&std::fs::read(format!("{folder}/model.onnx")).unwrap()) else { continue };
        let feeds: Vec<Feed> = (0..graph.inputs.len())
            .map(|i| {
                let proto =
                    onnx::Tensor::decode(&std::fs::read(format!("{folder}/test_data_set_0/input_{i}.pb")).unwrap()[..])
                        .unwrap();
                let t = Tensor::parse("input", &proto).unwrap();
                Feed::Rows(t.shape.get(1..).unwrap_or(&[]).to_vec())
            })
            .collect();
        let name = folder.rsplit('/').next().unwrap();
        match graph.signature(&feeds) {
            Ok(s) => match s.mixed_by {
                None => ok += 1,
                Some(m) => {
                    mixed += 1;
                    println!("MIXED {name} {m}")
                }
            },
            Err(e) => {
                bad += 1;
                println!("BAD {name} {}", e.to_string().chars().take(170).collect::<String>())
            }
        }
    }
    println!("{ok} ok {mixed} mixed {bad} bad");
}
