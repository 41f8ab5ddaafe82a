//! The documents about the API say what there is.

use std::collections::BTreeSet;

use axum::routing::MethodFilter;
use serde_json::Value;

use super::super::api::OPENAPI;
use super::super::routes::ROUTES;
use super::*;

const REFERENCE: &str = include_str!("../../../docs/reference/admin-api.md");

fn verb(method: MethodFilter) -> &'static str {
    if method == MethodFilter::GET { "GET" } else { "POST" }
}

/// `GET /api/v1/hosts`, of every route.
fn routes() -> BTreeSet<String> {
    ROUTES.iter().map(|route| format!("{} {}", verb(route.method), route.path)).collect()
}

fn document() -> Value {
    serde_json::from_str(OPENAPI).expect("JSON")
}

#[test]
fn the_openapi_document_has_every_route_and_no_other() {
    let document = document();
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            described.insert(format!("{} {path}", method.to_uppercase()));
            let route = ROUTES.iter().find(|route| route.path == path && verb(route.method) == method.to_uppercase());
            let right = route.map(|route| if route.right == Right::Read { "read" } else { "change" });
            assert_eq!(operation["tags"], serde_json::json!([right]), "{path}");
        }
    }
    assert_eq!(described, routes());
}

#[test]
fn the_reference_has_every_route_and_no_other() {
    let rows = REFERENCE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let described: BTreeSet<_> = rows
        .map(|(route, _)| route.split_once('?').map_or(route, |(path, _)| path).to_owned())
        .filter(|route| route.starts_with("GET ") || route.starts_with("POST "))
        .filter(|route| !["GET /healthz", "GET /readyz", "GET /"].contains(&route.as_str()))
        .collect();
    assert_eq!(described, routes());
}

#[test]
fn every_schema_is_used_and_every_property_explained() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    for (name, schema) in schemas {
        assert!(OPENAPI.contains(&format!("\"#/components/schemas/{name}\"")), "{name} is used nowhere");
        let parts = schema["allOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
        for (key, property) in parts.iter().filter_map(|part| part["properties"].as_object()).flatten() {
            assert!(property["description"].is_string(), "{name}.{key}");
        }
    }
}

#[tokio::test]
async fn the_document_is_served() {
    let admin = Admin::start().await;
    assert_eq!(json(&admin.get("/api/v1/openapi.json").await), document());
}
