//! The end: what runs may finish, what idles goes, nothing new begins.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use crate::support::certificates::Shape;
use crate::support::http2::Http2;
use crate::support::world::wait_until;
use crate::support::{HostSetup, PATIENCE, World};

const SHOP: &str = "shop.example.com";

fn world() -> World {
    World::with(HostSetup::new(SHOP).enforce("ours"))
}

fn held_request() -> String {
    format!("GET /held HTTP/1.1\r\nHost: {SHOP}\r\n\r\n")
}

fn wait_until_nobody_listens(address: SocketAddr) {
    wait_until("new connections are refused", || TcpStream::connect(address).is_err());
}

#[test]
fn a_request_in_flight_finishes() {
    let mut world = world();
    let edge = world.client(SHOP).presenting(Shape::P256);
    let mut http1 = edge.connect().expect("it is let in");
    http1.send(held_request().as_bytes()).expect("sent");
    let mut http2 = Http2::connect(&edge).expect("it is let in");
    let stream = thread::spawn(move || (http2.get("/held"), http2));
    world.echo.wait_for_held(2);
    let (address, echo) = (world.address(), world.echo.clone());
    let server = world.take_server();
    server.drain();
    wait_until_nobody_listens(address);
    echo.release();
    let answer = http1.answer().expect("the answer comes");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(http1.ends(), "the connection closes after its answer");
    let (answer, mut http2) = stream.join().expect("the stream ends");
    assert_eq!(answer.expect("the answer comes").status, 200);
    http2.wait_for_end();
    assert_eq!(server.join(), 0, "nothing had to be cut");
}

#[test]
fn idle_connections_close() {
    let mut world = world();
    let edge = world.client(SHOP).presenting(Shape::P256);
    let (mut used, _) = edge.get().expect("it is let in");
    let mut fresh = edge.connect().expect("it is let in");
    let mut http2 = Http2::connect(&edge).expect("it is let in");
    http2.get("/").expect("an answer");
    for _ in 0..3 {
        world.next_handshake();
    }
    let server = world.take_server();
    server.drain();
    assert!(used.ends(), "a used connection that idles");
    assert!(fresh.ends(), "a connection without a request");
    http2.wait_for_end();
    assert_eq!(server.join(), 0);
}

#[test]
fn the_second_stage_cuts_what_still_runs() {
    let mut world = world();
    let mut connection = world.client(SHOP).presenting(Shape::P256).connect().expect("it is let in");
    connection.send(held_request().as_bytes()).expect("sent");
    world.echo.wait_for_held(1);
    let server = world.take_server();
    server.drain();
    server.cut();
    assert_eq!(server.join(), 1, "one connection had to be cut");
    assert!(connection.ends());
}

#[test]
fn draining_ends_with_its_time() {
    let mut world =
        World::builder().tables("[shutdown]\ndrain_seconds = 0.1\n").host(HostSetup::new(SHOP).enforce("ours")).start();
    let mut connection = world.client(SHOP).presenting(Shape::P256).connect().expect("it is let in");
    connection.send(held_request().as_bytes()).expect("sent");
    world.echo.wait_for_held(1);
    let server = world.take_server();
    server.drain();
    assert_eq!(server.join(), 1, "one connection had to be cut");
    assert!(connection.ends());
}

#[test]
fn a_load_balancer_is_told_before_the_end() {
    let mut world = world();
    let mut connection = world.client(SHOP).presenting(Shape::P256).connect().expect("it is let in");
    connection.send(held_request().as_bytes()).expect("sent");
    world.echo.wait_for_held(1);
    let echo = world.echo.clone();
    let server = world.take_server();
    let url = server.admin_url().expect("an admin side").to_owned();
    assert_eq!(status(&url, "/readyz"), 200);
    server.drain();
    assert_eq!(status(&url, "/readyz"), 503);
    assert_eq!(status(&url, "/healthz"), 200);
    echo.release();
    assert_eq!(server.join(), 0);
}

fn status(url: &str, path: &str) -> u16 {
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    let mut socket = TcpStream::connect(authority).expect("the admin side");
    socket.set_read_timeout(Some(PATIENCE)).expect("an option");
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}
