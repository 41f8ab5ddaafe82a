//! The calls about a token and an account, and the one that is open to all.

use http::Method;
use serde_json::{Value, json};

use super::api::{Cloudflare, PER_PAGE, Result};
use super::error::Kind;
use super::types::{AccountId, AddressRanges, AlertPolicy, NewAlertPolicy, TokenState};
use crate::fetch::percent_encoded as encoded;

const VERIFY: &str = "verify the token";

impl Cloudflare {
    /// Looks whether the token is good, if it is a user's. Of one that belongs to an account the API may say that it does
    /// not know it; see [`Cloudflare::verify_token_of`].
    pub fn verify_token(&self) -> Result<TokenState> {
        self.get(VERIFY, "/user/tokens/verify".to_owned())
    }

    /// Looks whether the token is good, be it a user's or this account's own.
    ///
    /// # Errors
    /// If neither: what was said of it as a user's.
    pub fn verify_token_of(&self, account: &AccountId) -> Result<TokenState> {
        let error = match self.verify_token() {
            Ok(state) => return Ok(state),
            Err(error) => error,
        };
        match error.kind() {
            Some(Kind::InvalidToken | Kind::NotPermitted | Kind::Foreign | Kind::NotFound | Kind::Other) => {
                let path = format!("/accounts/{}/tokens/verify", encoded(&account.0));
                self.get(VERIFY, path).map_err(|_| error)
            }
            _ => Err(error),
        }
    }

    /// Where Cloudflare's edges connect from. Needs no token.
    pub fn address_ranges(&self) -> Result<AddressRanges> {
        self.get("read Cloudflare's address ranges", "/ips".to_owned())
    }

    /// Types of notifications that the account can have.
    pub fn available_alerts(&self, account: &AccountId) -> Result<Vec<String>> {
        let read: Value = self.get("list notification types", alerting(account, "available_alerts"))?;
        let kinds = read.as_object().into_iter().flat_map(|groups| groups.values());
        let kinds = kinds.filter_map(Value::as_array).flatten().filter_map(|kind| kind["type"].as_str());
        Ok(kinds.map(str::to_owned).collect())
    }

    /// The account's notification policies.
    pub fn alert_policies(&self, account: &AccountId) -> Result<Vec<AlertPolicy>> {
        self.list("list notification policies", &alerting(account, "policies"), PER_PAGE)
    }

    /// Makes one; duplicates are not refused.
    pub fn create_alert_policy(&self, account: &AccountId, policy: &NewAlertPolicy) -> Result<()> {
        let email: Vec<_> = policy.email.iter().map(|address| json!({ "id": address })).collect();
        let body = json!({
            "name": policy.name, "alert_type": policy.alert_type, "enabled": true, "mechanisms": { "email": email },
        });
        self.ask("create the notification policy", Method::POST, alerting(account, "policies"), Some(&body))
    }
}

fn alerting(account: &AccountId, what: &str) -> String {
    format!("/accounts/{}/alerting/v3/{what}", encoded(&account.0))
}
