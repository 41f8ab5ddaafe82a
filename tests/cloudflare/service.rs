//! One request from its arrival to its answer: the checks stand in the service's own order.

use bytes::Bytes;
use hyper::HeaderMap;
use serde_json::json;

use super::answer::Answer;
use super::call::Call;
use super::faults::{Effect, Fault};
use super::limits::Quota;
use super::log::{Logged, answered, kept, redacted};
use super::route::{Level, NoRoute, Operation, Route};
use super::seed::account_id;
use super::state::State;
use super::{accounts, associations, auth, body, route, zones};

/// Where the API begins.
pub const PREFIX: &str = "/client/v4";
const HUGE: usize = 10 * 1024 * 1024;

/// A request as it arrived.
#[derive(Debug)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What goes back, and how.
#[derive(Debug)]
pub enum Delivery {
    Whole(Answer),
    Later(Answer, std::time::Duration),
    /// Half of the body, then the connection ends.
    Cut(Answer),
    Drip(Answer, std::time::Duration),
    Hang,
    Close,
}

impl State {
    /// Takes a request, and says what goes back.
    pub(super) fn receive(&mut self, request: &Received) -> Delivery {
        let below = request.path.strip_prefix(PREFIX).unwrap_or(&request.path).to_owned();
        let number = self.log.len() + 1;
        self.log.push(Logged {
            number,
            at: self.now(),
            method: request.method.clone(),
            path: below.clone(),
            query: request.query.clone(),
            headers: kept(&request.headers),
            token: None,
            body: redacted(&request.body),
            applied: false,
            status: None,
            answer: serde_json::Value::Null,
        });
        let fault = self.faults.meet(&request.method, &below, &mut self.random);
        let does_its_work = fault.as_ref().is_none_or(Fault::lets_it_work);
        let mut answer = does_its_work.then(|| self.work(request, number));
        if fault.as_ref().is_some_and(|fault| fault.effect == Effect::Duplicate) {
            answer = Some(self.work(request, number));
        }
        let ray = format!("{}-FAKE", &self.random.identifier()[..16]);
        let delivery = deliver(fault, answer).map(|answer| answer.with("cf-ray", ray));
        if let Some(answer) = delivery.answer() {
            self.log[number - 1].status = Some(answer.status);
            self.log[number - 1].answer = answered(&answer.body);
        }
        delivery
    }

    /// Does what is asked, and notes whether anything changed.
    fn work(&mut self, request: &Received, number: usize) -> Answer {
        let Some(path) = request.path.strip_prefix(PREFIX) else { return no_route(NoRoute::Path) };
        let route = match route::find(&request.method, path) {
            Ok(route) => route,
            Err(nowhere) => return no_route(nowhere),
        };
        let answer = self.check(&route, request, number).unwrap_or_else(|refusal| refusal);
        self.log[number - 1].applied |= answer.is_success() && request.method != "GET";
        answer
    }

    fn check(&mut self, route: &Route, request: &Received, number: usize) -> Result<Answer, Answer> {
        let (operation, now) = (route.operation, self.now());
        let header = request.headers.get("authorization").and_then(|value| value.to_str().ok());
        let Some(token) = auth::token(&self.tokens, operation, header)?.cloned() else {
            return Ok(accounts::ips());
        };
        self.log[number - 1].token = Some(token.name.clone());
        auth::is_good(&token, operation, now, self.begun, &self.settings, &mut self.random)?;
        let quota = self.windows.count(&token.name, &self.settings, now);
        let answer = self.within_quota(quota, route, &token, request);
        Ok(quota.told(answer.unwrap_or_else(|refusal| refusal), &self.settings))
    }

    fn within_quota(
        &mut self,
        quota: Quota,
        route: &Route,
        token: &super::seed::Token,
        request: &Received,
    ) -> Result<Answer, Answer> {
        let (operation, now) = (route.operation, self.now());
        if let Some(refusal) = quota.refusal(self.settings.retry_after) {
            return Err(refusal);
        }
        if !token.may(operation.needs()) {
            return Err(Answer::failure(403, 10000, "Authentication error"));
        }
        let foreign = || Answer::failure(403, 9109, "Unauthorized to access requested resource");
        let first = route.parameters.first().map_or("", String::as_str);
        if operation.is_of_a_zone() && !is_identifier(first) {
            let path = &request.path;
            let message = format!("Could not route to {path}, perhaps your object identifier is invalid?");
            return Err(Answer::failure(404, 7003, &message));
        }
        let zone = self.zones.iter().position(|zone| zone.id == first && token.sees(&zone.name));
        let account = self.account(first).filter(|account| {
            token.account.as_deref().is_none_or(|owner| account_id(owner) == account_id(&account.name))
        });
        let query = route::query(&request.query);
        let body = body::read(operation, &request.body)
            .map_err(|message| Answer::refused(400, self.settings.codes.bad_body, &message));
        let mut call = Call {
            now,
            settings: &self.settings,
            random: &mut self.random,
            counters: &mut self.counters,
            body: &serde_json::Value::Null,
            query: &query,
        };
        if operation.is_of_a_zone() {
            let zone = &mut self.zones[zone.ok_or_else(foreign)?];
            let body = body?;
            call.body = &body;
            return Ok(in_zone(zone, route, &mut call));
        }
        match operation {
            Operation::VerifyUserToken => Ok(accounts::verify(token, None, &call)),
            Operation::VerifyAccountToken => Ok(accounts::verify(token, Some(first), &call)),
            Operation::Ips => Ok(accounts::ips()),
            Operation::Zones => Ok(zones::list(&self.zones, token, &call)),
            Operation::AvailableAlerts => Ok(accounts::available(&account.ok_or_else(foreign)?)),
            Operation::ListPolicies => Ok(accounts::policies(&self.policies, &account.ok_or_else(foreign)?)),
            _ => {
                let (account, body) = (account.ok_or_else(foreign)?, body?);
                call.body = &body;
                Ok(accounts::create(&mut self.policies, &account, &mut call))
            }
        }
    }
}

fn in_zone(zone: &mut super::state::Zone, route: &Route, call: &mut Call<'_>) -> Answer {
    if route.operation.is_serialised() && call.now < zone.locked_until {
        return Answer::json(409, &json!({ "success": false, "errors": [], "messages": [] }));
    }
    let second = route.parameters.get(1).map_or("", String::as_str);
    let answer = match route.operation {
        Operation::Zone => zones::read(zone, call),
        Operation::DnsRecords => zones::records(zone, call),
        Operation::ConfigurationRules => zones::rules(zone, call),
        Operation::ReadSetting(setting) => zones::read_setting(zone, setting, call),
        Operation::WriteSetting(setting) => zones::write_setting(zone, setting, call),
        Operation::ReadZoneSwitch => zones::read_switch(zone, call),
        Operation::WriteZoneSwitch => zones::write_switch(zone, call),
        Operation::ListCertificates(Level::Hostname) => zone.certificates.list(call),
        Operation::ListCertificates(Level::Zone) => zone.zone_certificates.list(call),
        Operation::UploadCertificate(Level::Hostname) => zone.certificates.upload(call),
        Operation::UploadCertificate(Level::Zone) => zone.zone_certificates.upload(call),
        Operation::ReadCertificate(Level::Hostname) => zone.certificates.read(second, call),
        Operation::ReadCertificate(Level::Zone) => zone.zone_certificates.read(second, call),
        Operation::DeleteCertificate(Level::Hostname) => {
            let in_use = zone.associations.refer_to(second, call.now);
            zone.certificates.delete(second, in_use, call)
        }
        Operation::DeleteCertificate(Level::Zone) => zone.zone_certificates.delete(second, false, call),
        Operation::ListAssociations if !call.settings.list_supported => no_route(NoRoute::Method),
        Operation::ListAssociations => associations::list(zone, call),
        Operation::WriteAssociations => associations::write(zone, call),
        Operation::ReadAssociation => associations::read(zone, second, call),
        Operation::VerifyUserToken
        | Operation::VerifyAccountToken
        | Operation::Ips
        | Operation::Zones
        | Operation::AvailableAlerts
        | Operation::ListPolicies
        | Operation::CreatePolicy => no_route(NoRoute::Path),
    };
    if answer.is_success() && route.operation.is_serialised() {
        zone.locked_until = call.now.after(call.settings.zone_lock);
    }
    answer
}

fn no_route(why: NoRoute) -> Answer {
    match why {
        NoRoute::Path => Answer::failure(404, 7003, "No route for the URI"),
        NoRoute::Method => Answer::failure(405, 7001, "Method not available for that URI"),
    }
}

fn is_identifier(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Fault {
    fn lets_it_work(&self) -> bool {
        match &self.effect {
            Effect::CutJson
            | Effect::CutConnection
            | Effect::WrongType
            | Effect::Delay(_)
            | Effect::Duplicate
            | Effect::Drip(_) => true,
            Effect::Answer { .. }
            | Effect::Unsuccessful
            | Effect::Hang
            | Effect::Close
            | Effect::Huge
            | Effect::Redirect(_) => self.applied,
        }
    }
}

fn deliver(fault: Option<Fault>, answer: Option<Answer>) -> Delivery {
    let own = answer.unwrap_or_else(|| Answer::json(200, &json!({})));
    let Some(fault) = fault else { return Delivery::Whole(own) };
    match fault.effect {
        Effect::Answer { status, content_type, body } => {
            let content_type = if content_type == "application/json" { "application/json" } else { "text/html" };
            Delivery::Whole(Answer { status, content_type, headers: Vec::new(), body: body.into() })
        }
        Effect::Unsuccessful => {
            let errors = json!([{ "code": 1400, "message": "this did not work" }]);
            Delivery::Whole(Answer::json(200, &json!({ "success": false, "errors": errors, "messages": [] })))
        }
        Effect::CutJson => Delivery::Whole(Answer { body: own.body.slice(..own.body.len() / 2), ..own }),
        Effect::CutConnection => Delivery::Cut(own),
        Effect::WrongType => Delivery::Whole(Answer { content_type: "text/html", ..own }),
        Effect::Delay(duration) => Delivery::Later(own, duration),
        Effect::Hang => Delivery::Hang,
        Effect::Close => Delivery::Close,
        Effect::Duplicate => Delivery::Whole(own),
        Effect::Drip(duration) => Delivery::Drip(own, duration),
        Effect::Huge => {
            let result = "x".repeat(HUGE);
            Delivery::Whole(Answer::ok(&json!({ "id": result })))
        }
        Effect::Redirect(location) => {
            let answer = Answer::json(307, &json!({}));
            Delivery::Whole(answer.with("location", location))
        }
    }
}

impl Delivery {
    fn map(self, change: impl FnOnce(Answer) -> Answer) -> Self {
        match self {
            Self::Whole(answer) => Self::Whole(change(answer)),
            Self::Later(answer, duration) => Self::Later(change(answer), duration),
            Self::Cut(answer) => Self::Cut(change(answer)),
            Self::Drip(answer, duration) => Self::Drip(change(answer), duration),
            Self::Hang => Self::Hang,
            Self::Close => Self::Close,
        }
    }

    fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Whole(answer) | Self::Later(answer, _) | Self::Cut(answer) | Self::Drip(answer, _) => Some(answer),
            Self::Hang | Self::Close => None,
        }
    }
}
