//! The page for a person, as files: it reads the admin API like any other client, and needs nothing else.

use axum::Router;
use axum::http::header;
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Path, media type and content. Everything is in the binary: no build step, no request to anyone else.
const FILES: [(&str, &str, &str); 13] = [
    ("/", HTML, include_str!("static/index.html")),
    ("/dashboard.css", CSS, include_str!("static/dashboard.css")),
    ("/dashboard.js", JS, include_str!("static/dashboard.js")),
    ("/api.js", JS, include_str!("static/api.js")),
    ("/change.js", JS, include_str!("static/change.js")),
    ("/chart.js", JS, include_str!("static/chart.js")),
    ("/dom.js", JS, include_str!("static/dom.js")),
    ("/feed.js", JS, include_str!("static/feed.js")),
    ("/format.js", JS, include_str!("static/format.js")),
    ("/host.js", JS, include_str!("static/host.js")),
    ("/hosts.js", JS, include_str!("static/hosts.js")),
    ("/lists.js", JS, include_str!("static/lists.js")),
    ("/walk.js", JS, include_str!("static/walk.js")),
];

/// The routes of the page. Nothing in it is secret: what it shows it has to ask for.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, content)| {
        router.route(path, get(async move || ([(header::CONTENT_TYPE, kind)], content)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_that_the_page_imports_is_served() {
        for (path, _, content) in FILES {
            let imported = content.lines().filter_map(|line| line.split_once("from \"./")?.1.split_once('"'));
            for (module, _) in imported {
                let served = FILES.iter().any(|(path, ..)| path.strip_prefix('/') == Some(module));
                assert!(served, "{path} imports {module}");
            }
        }
    }

    #[test]
    fn the_page_keeps_to_what_its_policy_allows() {
        for (path, _, content) in FILES {
            for forbidden in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=", "onclick="]
            {
                assert!(!content.contains(forbidden), "{path} holds {forbidden}");
            }
        }
    }
}
