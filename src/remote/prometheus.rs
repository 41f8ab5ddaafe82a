//! Instant queries to a Prometheus, or to whatever speaks its API (Thanos, Mimir, VictoriaMetrics).

use std::collections::BTreeMap;
use std::io;

use serde::Deserialize;

use super::Blocking;
use crate::fetch::{Client, Endpoint, FetchError, percent_encoded};

/// Asks one Prometheus.
#[derive(Debug)]
pub struct Prometheus(Blocking);

/// One series of an answer at the moment that was asked for.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// Why there are no samples.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It says why.
    #[error("{endpoint} refused the query {query}: {said}")]
    Refused { endpoint: Endpoint, query: String, said: String },
    #[error("{endpoint} wants to know who asks (HTTP {status}); give a token with --token-file")]
    Unauthorized { endpoint: Endpoint, status: u16 },
    #[error(
        "{endpoint} did not answer as a Prometheus does (HTTP {status}); give the address that ends before /api/v1"
    )]
    Unexpected { endpoint: Endpoint, status: u16 },
}

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Reply {
    Success {
        data: Data,
    },
    Error {
        #[serde(default)]
        error: String,
    },
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    /// Seconds since the epoch, and the number as a text.
    value: (f64, String),
}

impl Prometheus {
    /// # Errors
    /// The operating system has no room for it.
    pub fn new(client: Client) -> io::Result<Self> {
        Blocking::new(client).map(Self)
    }

    /// Whom it asks.
    pub fn endpoint(&self) -> &Endpoint {
        self.0.client.endpoint()
    }

    /// What `expression` comes to now, one sample per series.
    ///
    /// # Errors
    /// There is no answer, or none that is a vector.
    pub fn query(&self, expression: &str) -> Result<Vec<Sample>, PrometheusError> {
        let answer = self.0.get(&format!("/api/v1/query?query={}", percent_encoded(expression)))?;
        let (endpoint, status) = (|| self.endpoint().clone(), answer.status.as_u16());
        match serde_json::from_slice(&answer.body) {
            Ok(Reply::Success { data: Data::Vector(series) }) => series
                .into_iter()
                .map(Sample::read)
                .collect::<Option<_>>()
                .ok_or_else(|| unexpected(endpoint(), status)),
            Ok(Reply::Error { error: said }) => {
                Err(PrometheusError::Refused { endpoint: endpoint(), query: expression.to_owned(), said })
            }
            Err(_) if matches!(status, 401 | 403) => {
                Err(PrometheusError::Unauthorized { endpoint: endpoint(), status })
            }
            Err(_) => Err(unexpected(endpoint(), status)),
        }
    }
}

impl Sample {
    fn read(series: Series) -> Option<Self> {
        Some(Self { labels: series.metric, value: series.value.1.parse().ok()? })
    }

    /// The value of a label; empty where it is not there, as Prometheus has it.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

fn unexpected(endpoint: Endpoint, status: u16) -> PrometheusError {
    PrometheusError::Unexpected { endpoint, status }
}

/// `name="value"` as it stands between the braces of a selector.
pub fn matcher(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}
