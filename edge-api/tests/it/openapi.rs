use edge_api::routes::routes;
use serde_json::Value;

#[test]
fn the_document_describes_every_route_and_nothing_else() {
    let document: Value = serde_json::from_str(include_str!("../../src/openapi.json")).unwrap();
    let mut described: Vec<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())))
        .collect();
    let mut served: Vec<(String, String)> =
        routes().iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    described.sort();
    served.sort();

    assert_eq!(described, served);
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let text = include_str!("../../src/openapi.json");
    let document: Value = serde_json::from_str(text).unwrap();

    for reference in text.split("\"$ref\": \"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}
