//! The page for a person. Its files are part of the program; what it shows comes from the API.

use axum::Router;
use axum::http::header;
use axum::routing::get;

/// A file of `static/`: where it is served, what it is, what it holds.
pub(super) struct Page {
    pub(super) path: &'static str,
    content_type: &'static str,
    body: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Every file of `static/`.
pub(super) const PAGES: [Page; 14] = [
    Page { path: "/", content_type: HTML, body: include_str!("static/index.html") },
    Page { path: "/dashboard.css", content_type: CSS, body: include_str!("static/dashboard.css") },
    Page { path: "/api.js", content_type: JS, body: include_str!("static/api.js") },
    Page { path: "/change.js", content_type: JS, body: include_str!("static/change.js") },
    Page { path: "/chart.js", content_type: JS, body: include_str!("static/chart.js") },
    Page { path: "/cloudflare.js", content_type: JS, body: include_str!("static/cloudflare.js") },
    Page { path: "/dashboard.js", content_type: JS, body: include_str!("static/dashboard.js") },
    Page { path: "/dom.js", content_type: JS, body: include_str!("static/dom.js") },
    Page { path: "/feed.js", content_type: JS, body: include_str!("static/feed.js") },
    Page { path: "/format.js", content_type: JS, body: include_str!("static/format.js") },
    Page { path: "/host.js", content_type: JS, body: include_str!("static/host.js") },
    Page { path: "/hosts.js", content_type: JS, body: include_str!("static/hosts.js") },
    Page { path: "/lists.js", content_type: JS, body: include_str!("static/lists.js") },
    Page { path: "/walk.js", content_type: JS, body: include_str!("static/walk.js") },
];

/// Serves them to whoever asks: they say nothing that the program's source does not.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    PAGES.iter().fold(Router::new(), |router, page| {
        router.route(page.path, get(async || ([(header::CONTENT_TYPE, page.content_type)], page.body)))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/static");
        for file in fs::read_dir(folder).expect("the folder") {
            let name = file.expect("an entry").file_name().into_string().expect("a name");
            let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
            assert!(PAGES.iter().any(|page| page.path == path), "{path} is not in PAGES");
        }
    }

    #[test]
    fn nothing_on_the_page_makes_markup_or_code_out_of_text() {
        for page in &PAGES {
            for sink in ["HTML = ", "HTML(", "document.write", "eval(", "Function(", " style=", " onclick=", "<script>"]
            {
                assert!(!page.body.contains(sink), "{} holds {sink}", page.path);
            }
        }
    }
}
