use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

use super::admin::{AdminClient, AdminError};
use super::prometheus::{Prometheus, PrometheusError, matcher};
use super::*;
use crate::evidence::report::{ModeRequest, StatusReport};
use crate::fetch::{Endpoint, TlsFiles};
use crate::policy::client_auth::Mode;

/// A server that answers every request with `status` and `body`; the request's first line comes back.
fn server(status: &str, body: &str) -> (Client, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let endpoint = Endpoint::parse(&format!("http://{}", listener.local_addr().expect("an address")));
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut reader = BufReader::new(&stream);
        let (mut first, mut line) = (String::new(), String::new());
        reader.read_line(&mut first).expect("a line");
        while reader.read_line(&mut line).expect("a line") > 2 {
            line.clear();
        }
        (&stream).write_all(answer.as_bytes()).expect("the answer");
        // What is still to be read would have the kernel throw the answer away.
        let _ = std::io::copy(&mut reader, &mut std::io::sink());
        first.trim_end().to_owned()
    });
    let client = Client::new(endpoint.expect("an endpoint"), &TlsFiles::default(), None).expect("a client");
    (client, server)
}

fn admin(status: &str, body: &str) -> (AdminClient, thread::JoinHandle<String>) {
    let (client, server) = server(status, body);
    (AdminClient::new(client).expect("a runtime"), server)
}

fn prometheus(status: &str, body: &str) -> (Prometheus, thread::JoinHandle<String>) {
    let (client, server) = server(status, body);
    (Prometheus::new(client).expect("a runtime"), server)
}

#[test]
fn a_report_is_read_and_a_name_is_one_segment_of_the_path() {
    let status = StatusReport {
        at: crate::clock::Timestamp::from_seconds(1),
        version: "1".into(),
        started_at: crate::clock::Timestamp::from_seconds(0),
        generation: 3,
        config: "/etc/o.toml".into(),
        listeners: vec![],
        networks: crate::evidence::report::NetworksReport { source: "shipped".into(), dated: None, ranges: 22 },
        evidence_file: None,
        unknown_names: Vec::new(),
        may_change: true,
    };
    let (client, server) = admin("200 OK", &serde_json::to_string(&status).expect("JSON"));
    assert_eq!(client.status().expect("a report"), status);
    assert_eq!(server.join().expect("the server ends"), "GET /api/v1/status HTTP/1.1");

    let (client, server) = admin("404 Not Found", "nope");
    client.host("*.example.com/../..?a=b", None).expect_err("not there");
    let asked = "GET /api/v1/hosts/%2A.example.com%2F..%2F..%3Fa%3Db HTTP/1.1";
    assert_eq!(server.join().expect("the server ends"), asked);
}

#[test]
fn a_problem_is_told_in_its_own_words() {
    let problem = "{\"type\":\"forbidden\",\"title\":\"Not allowed.\",\"status\":403,\"detail\":\"this token may only \
                   read\",\"next_step\":\"use the token of `change`\",\"readiness\":null,\"diff\":null,\"source\":null}";
    let (client, _server) = admin("403 Forbidden", problem);
    let request = ModeRequest {
        mode: Mode::Enforce,
        force: false,
        dry_run: false,
        confirm_within_seconds: None,
        window_seconds: None,
    };
    let error = client.set_mode("a.example", &request).expect_err("forbidden");
    assert_eq!(error.to_string(), "Not allowed: this token may only read; use the token of `change`");
    assert!(matches!(error, AdminError::Problem(problem) if problem.kind == "forbidden"));
}

#[test]
fn another_server_than_an_admin_side_is_told_apart() {
    let (client, _server) = admin("404 Not Found", "<html>");
    let error = client.hosts().expect_err("no admin side").to_string();
    assert!(error.contains("answered 404 to /api/v1/hosts: is this the admin address of originlock"), "{error}");
    let (client, _server) = admin("200 OK", "{\"hosts\":3}");
    let error = client.hosts().expect_err("no report").to_string();
    assert!(error.contains("something else than this version"), "{error}");
}

#[test]
fn samples_are_read_with_their_labels() {
    let body = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"host":"a.example","instance":"one:9090"},"value":[1700000000.5,"41"]},
        {"metric":{},"value":[1700000000.5,"NaN"]}]}}"#;
    let (client, server) = prometheus("200 OK", body);
    let samples = client.query("up{a=\"b\"}").expect("samples");
    assert_eq!((samples[0].label("host"), samples[0].label("none"), samples[0].value), ("a.example", "", 41.0));
    assert!(samples[1].value.is_nan());
    assert_eq!(server.join().expect("the server ends"), "GET /api/v1/query?query=up%7Ba%3D%22b%22%7D HTTP/1.1");
}

#[test]
fn what_a_prometheus_refuses_is_explained() {
    let refused = r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected }"}"#;
    for (status, body, said) in [
        ("400 Bad Request", refused, "refused the query up}: parse error: unexpected }"),
        ("401 Unauthorized", "Unauthorized", "wants to know who asks (HTTP 401); give a token with --token-file"),
        ("404 Not Found", "404 page not found", "did not answer as a Prometheus does (HTTP 404)"),
        ("200 OK", r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#, "did not answer as"),
    ] {
        let (client, _server) = prometheus(status, body);
        let error = client.query("up}").expect_err("refused");
        assert!(error.to_string().contains(said), "{error}");
        assert!(!matches!(error, PrometheusError::Fetch(_)));
    }
}

#[test]
fn values_of_labels_cannot_leave_their_quotes() {
    assert_eq!(matcher("host", "a.example"), "host=\"a.example\"");
    assert_eq!(matcher("host", "a\"} or up{x=\"\\\n"), "host=\"a\\\"} or up{x=\\\"\\\\\\n\"");
}
