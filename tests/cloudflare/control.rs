//! `/__fake/`: looking at the fake and moving it from outside, beside the API and never limited.

use std::time::Duration;

use serde_json::{Value, json};

use super::answer::Answer;
use super::faults::Fault;
use super::settings::Settings;
use super::state::State;

/// Where it begins.
pub const PREFIX: &str = "/__fake/";

/// Answers a request below the prefix.
pub fn answer(state: &mut State, method: &str, verb: &str, body: &[u8]) -> Answer {
    match (method, verb) {
        ("GET", "state") => Answer::json(200, &state.picture()),
        ("GET", "requests") => Answer::json(200, &json!(state.log)),
        ("POST", "reset") => {
            state.reset();
            done()
        }
        ("DELETE", "faults") => {
            state.faults.clear();
            done()
        }
        ("POST", "advance" | "faults" | "set") => match serde_json::from_slice(body) {
            Ok(value) => change(state, verb, value).map_or_else(|message| bad(&message), |()| done()),
            Err(error) => bad(&error.to_string()),
        },
        _ => {
            let verbs = "GET state, GET requests, POST advance, POST faults, DELETE faults, POST set, POST reset";
            Answer::json(404, &json!({ "there_is": verbs }))
        }
    }
}

fn change(state: &mut State, verb: &str, value: Value) -> Result<(), String> {
    match verb {
        "advance" => {
            let seconds = value["seconds"].as_f64().ok_or("`seconds` has to be a number")?;
            state.advance(Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?);
        }
        "faults" => {
            let fault: Fault = serde_json::from_value(value).map_err(|error| error.to_string())?;
            state.faults.add(fault);
        }
        _ => set(state, value)?,
    }
    Ok(())
}

/// `{"settings": {…}}`, and of a zone by name: `{"zone": "example.com", "ssl": "flexible", "paused": true, …}`.
fn set(state: &mut State, value: Value) -> Result<(), String> {
    let now = state.now();
    if let Some(changes) = value["settings"].as_object() {
        let mut settings = json!(state.settings);
        for (name, value) in changes {
            settings[name] = value.clone();
        }
        state.settings = serde_json::from_value::<Settings>(settings).map_err(|error| error.to_string())?;
    }
    let Some(name) = value["zone"].as_str() else { return Ok(()) };
    if !state.zones.iter().any(|zone| zone.name == name) {
        return Err(format!("there is no zone {name}"));
    }
    let zone = state.zone(name);
    if let Some(mode) = value["ssl"].as_str() {
        zone.ssl.change(now, mode.to_owned());
    }
    if let Some(on) = value["tls_client_auth"].as_bool() {
        zone.tls_client_auth.change(now, on);
    }
    if let Some(paused) = value["paused"].as_bool() {
        zone.paused = paused;
    }
    if let Some(status) = value["status"].as_str() {
        zone.status = status.to_owned();
    }
    Ok(())
}

fn done() -> Answer {
    Answer::json(200, &json!({ "done": true }))
}

fn bad(message: &str) -> Answer {
    Answer::json(400, &json!({ "error": message }))
}
