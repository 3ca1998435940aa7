//! The documentation as the server sends it.

use crate::app::TestApp;

async fn page(app: &TestApp, path: &str) -> (u16, String) {
    let answer = app.page(path).await;
    (answer.status.as_u16(), String::from_utf8(answer.bytes).unwrap())
}

#[tokio::test]
async fn every_guide_of_the_navigation_is_a_page() {
    let app = TestApp::sqlite().await;
    let (status, index) = page(&app, "/docs?lang=en").await;
    let links: Vec<&str> = index
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|link| link.starts_with("/docs/"))
        .collect();

    assert_eq!(status, 200);
    assert!(links.len() > 10, "{links:?}");
    for link in links {
        let (status, html) = page(&app, link).await;
        assert_eq!(status, 200, "{link}");
        assert_eq!(html.matches("<h1").count(), 1, "{link}");
    }
}

#[tokio::test]
async fn a_guide_is_a_public_page_with_one_address() {
    let app = TestApp::sqlite().await;
    let answer = app.page("/docs/get-started?lang=en").await;
    let html = String::from_utf8(answer.bytes).unwrap();

    assert_eq!(answer.headers["cache-control"], "public, max-age=5");
    assert!(html.contains("<title>Get started · Tessera</title>"));
    assert!(html.contains("<link rel=\"canonical\" href=\"http://tessera.test/docs/get-started\""));
    assert!(html.contains("property=\"og:description\""));
    let slashed = app.page("/docs/get-started/").await;
    assert_eq!(slashed.headers["location"], "/docs/get-started");
}

#[tokio::test]
async fn the_first_guide_is_there_in_both_languages_and_the_rest_say_so() {
    let app = TestApp::sqlite().await;
    let (_, chinese) = page(&app, "/docs/get-started?lang=zh").await;
    let (_, english) = page(&app, "/docs/concepts/tiles?lang=zh").await;

    let article = |html: &str| html.split("<article ").nth(1).unwrap().split('>').next().unwrap().to_owned();
    assert!(article(&chinese).contains("lang=\"zh-CN\"") && !chinese.contains("本页仅有英文"));
    assert!(article(&english).contains("lang=\"en\"") && english.contains("本页仅有英文"));
    assert!(english.contains("content=\"noindex\"") && english.contains("href=\"/docs/get-started?lang=zh\""));
}

#[tokio::test]
async fn headings_are_searched_on_the_server() {
    let app = TestApp::sqlite().await;
    let (status, found) = page(&app, "/docs?q=Get+Started&lang=en").await;
    let (_, nothing) = page(&app, "/docs?q=%3Cscript%3E&lang=en").await;

    assert_eq!(status, 200);
    assert!(found.contains("<ul class=\"hits\"><li><a href=\"/docs/get-started?lang=en\">Get started"), "{found}");
    assert!(nothing.contains("No heading says") && !nothing.contains("<script>"));
}

#[tokio::test]
async fn what_is_no_guide_is_not_found() {
    let app = TestApp::sqlite().await;
    for path in ["/docs/nothing", "/docs/api/jobs", "/docs/README", "/docs/../Cargo", "/docs/get-started.zh"] {
        assert_eq!(page(&app, path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn the_reference_shows_every_operation() {
    let app = TestApp::sqlite().await;
    let (status, html) = page(&app, "/docs/api?lang=en").await;

    assert_eq!(status, 200);
    for route in edge_api::routes::routes() {
        assert!(html.contains(&format!("id=\"{}\"", route.operation)), "{}", route.operation);
        assert!(html.contains(&format!("<code>{}<", route.path)), "{}", route.path);
    }
    // What the page links to within itself is there.
    for anchor in html.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(html.contains(&format!("id=\"{anchor}\"")), "#{anchor}");
    }
}

#[tokio::test]
async fn the_site_map_names_the_documentation() {
    let app = TestApp::sqlite().await;
    let (_, map) = page(&app, "/sitemap.xml").await;

    for path in ["/docs", "/docs/api", "/docs/get-started", "/docs/get-started?lang=zh", "/docs/concepts/tiles"] {
        assert!(map.contains(&format!("<loc>http://tessera.test{path}</loc>")), "{path}");
    }
    assert!(!map.contains("/docs/concepts/tiles?lang=zh"));
}

#[tokio::test]
async fn commands_ask_the_server_that_shows_them() {
    let app = TestApp::sqlite_with(|config| config.public_url = "https://compute.test/".to_owned()).await;

    let served = app.get("/v1/openapi.json").await.json();

    let command = served["paths"]["/v1/public/overview"]["get"]["x-codeSamples"][0]["source"].as_str().unwrap();
    assert_eq!(command, "curl 'https://compute.test/v1/public/overview'");
}
