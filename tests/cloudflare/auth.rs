//! Whose request it is.

use originlock::clock::Timestamp;
use serde_json::json;

use super::answer::Answer;
use super::random::Random;
use super::route::Operation;
use super::seed::Token;
use super::settings::Settings;

/// The token of a request; `None` where none is given and none is needed.
///
/// # Errors
/// The refusal.
pub fn token<'a>(tokens: &'a [Token], operation: Operation, header: Option<&str>) -> Result<Option<&'a Token>, Answer> {
    if header.is_none() && operation == Operation::Ips {
        return Ok(None);
    }
    let secret = header.and_then(|header| header.strip_prefix("Bearer "));
    let secret = secret.filter(|secret| !secret.is_empty() && !secret.contains(char::is_whitespace));
    let secret = secret.ok_or_else(malformed)?;
    match tokens.iter().find(|token| token.secret == secret) {
        Some(token) => Ok(Some(token)),
        None => Err(Answer::failure(401, 1000, "Invalid API Token")),
    }
}

/// Whether the token is good at this moment, for anything but asking for itself.
///
/// # Errors
/// The refusal.
pub fn is_good(
    token: &Token,
    operation: Operation,
    now: Timestamp,
    begun: Timestamp,
    settings: &Settings,
    random: &mut Random,
) -> Result<(), Answer> {
    let asks_for_itself = matches!(operation, Operation::VerifyUserToken | Operation::VerifyAccountToken);
    let is_over = token.expires_on.is_some_and(|moment| moment <= now);
    if (token.disabled || is_over) && !asks_for_itself {
        return Err(Answer::failure(403, 10000, "Authentication error"));
    }
    let age = now.since(token.not_before.unwrap_or(begun));
    if age < settings.token_propagation && random.percent(settings.token_propagation_percent) {
        return Err(Answer::failure(403, 10001, "Unable to authenticate request"));
    }
    Ok(())
}

fn malformed() -> Answer {
    let chain = json!([{ "code": 6111, "message": "Invalid format for Authorization header" }]);
    let errors = json!([{ "code": 6003, "message": "Invalid request headers", "error_chain": chain }]);
    Answer::json(400, &json!({ "success": false, "errors": errors, "messages": [], "result": null }))
}
