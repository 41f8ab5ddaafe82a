use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::config::file::parse;

const MODES: [Mode; 3] = [Mode::Off, Mode::Observe, Mode::Enforce];
const AROUND: &str = "names = [\"a.example\"]
certificate = { chain = \"a.pem\", key = \"a.key\" }
upstream = \"http://127.0.0.1:8080\"
";
const CA: &str = "[ca.ours]\nbundle = [\"ours.pem\"]\n";

fn load(text: &str) -> Config {
    match parse("o.toml", text) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{problems}\n{text}"),
    }
}

fn edited(text: &str, name: &str, mode: Mode) -> Edited {
    let config = load(text);
    set_mode(&config, config.host(name).expect("a host"), mode).expect("it can be changed")
}

#[test]
fn a_mode_is_changed_wherever_and_however_it_is_written() {
    for (before, after) in [
        ("client_auth = { mode = \"observe\", ca = \"ours\" }", "client_auth = { mode = \"enforce\", ca = \"ours\" }"),
        ("client_auth={ca='ours',mode='observe'} # why", "client_auth={ca='ours',mode='enforce'} # why"),
        (
            "client_auth.ca = \"ours\"\nclient_auth . mode  =  'observe'",
            "client_auth.ca = \"ours\"\nclient_auth . mode  =  'enforce'",
        ),
        (
            "[host.client_auth]\r\nca = \"ours\"\r\nmode = \"observe\"\t# now\r\n",
            "[host.client_auth]\r\nca = \"ours\"\r\nmode = \"enforce\"\t# now\r\n",
        ),
        (
            "\"client_auth\" = { \"mode\" = \"\"\"observe\"\"\", ca = \"ours\" }",
            "\"client_auth\" = { \"mode\" = \"\"\"enforce\"\"\", ca = \"ours\" }",
        ),
        (
            "client_auth = { mode = '''\nobserve''', ca = \"ours\" }",
            "client_auth = { mode = '''enforce''', ca = \"ours\" }",
        ),
        (
            "client_auth = { mode = \"\\u006fbserve\", ca = \"ours\" }",
            "client_auth = { mode = \"enforce\", ca = \"ours\" }",
        ),
        (
            "client_auth = {\n  # a comment with mode = \"observe\"\n  mode = \"observe\",\n  ca = \"ours\",\n}",
            "client_auth = {\n  # a comment with mode = \"observe\"\n  mode = \"enforce\",\n  ca = \"ours\",\n}",
        ),
    ] {
        let text = |client_auth: &str| format!("{CA}[[host]]\n{AROUND}{client_auth}\n");
        let result = edited(&text(before), "a.example", Mode::Enforce);
        assert_eq!(result.text, text(after));
    }
    let inline = format!(
        "host = [{{ {}, client_auth = {{ mode = \"observe\", ca = \"ours\" }} }}]\n{CA}",
        AROUND.trim().replace('\n', ", ")
    );
    assert_eq!(edited(&inline, "a.example", Mode::Off).text, inline.replace("observe", "off"));
    let marked = format!("\u{feff}{CA}[[host]]\n{AROUND}client_auth = {{ mode = \"observe\", ca = \"ours\" }}");
    assert_eq!(edited(&marked, "a.example", Mode::Enforce).text, marked.replace("observe", "enforce"));
}

#[test]
fn the_shipped_configuration_changes_in_one_word() {
    let text = include_str!("../../../config/originlock.toml");
    let result = edited(text, "*.shop.example.com", Mode::Enforce);
    let expected = "client_auth = { mode = \"observe\", ca = \"our-origin-pull\" }";
    assert_eq!(result.text, text.replacen(expected, &expected.replace("observe", "enforce"), 1));
    assert_eq!(text.lines().nth(result.line - 1), Some(expected));
}

#[test]
fn the_diff_is_one_that_patch_takes() {
    let text = format!("{CA}[[host]]\n{AROUND}client_auth = {{ mode = \"observe\", ca = \"ours\" }}");
    assert_eq!(
        edited(&text, "a.example", Mode::Enforce).diff,
        "--- o.toml\n+++ o.toml\n@@ -4,4 +4,4 @@\n names = [\"a.example\"]\n certificate = { chain = \"a.pem\", key = \"a.key\" }\n \
         upstream = \"http://127.0.0.1:8080\"\n-client_auth = { mode = \"observe\", ca = \"ours\" }\n\\ No newline at end of file\n\
         +client_auth = { mode = \"enforce\", ca = \"ours\" }\n\\ No newline at end of file\n"
    );
    assert_eq!(edited(&text, "a.example", Mode::Observe).diff, "");
}

#[test]
fn a_key_in_a_comment_is_not_shown() {
    let client_auth = "client_auth = { mode = \"observe\", ca = \"ours\" }";
    let key = "# -----BEGIN PRIVATE KEY-----\n# c2VjcmV0\n# -----END PRIVATE KEY-----\n";
    for text in [
        format!("{CA}[[host]]\n{AROUND}{key}# plain\n{client_auth}\n# after\n"),
        format!("{CA}[[host]]\n{AROUND}{client_auth}\n# plain\n{key}"),
    ] {
        let diff = edited(&text, "a.example", Mode::Enforce).diff;
        assert!(diff.contains(" # plain\n") && !diff.contains("PRIVATE") && !diff.contains("c2Vj"), "{diff}");
    }
}

#[test]
fn without_a_trust_it_is_said_what_to_write() {
    let text = format!("{CA}[[host]]\n{AROUND}client_auth = {{ mode = \"off\" }}\n");
    let config = load(&text);
    for mode in [Mode::Observe, Mode::Enforce] {
        let error = set_mode(&config, &config.hosts[0].value, mode).expect_err("there is nothing to judge by");
        let expected =
            format!("o.toml:7: `a.example` names neither a CA nor pins, so `{}` has nothing to judge by", mode.label());
        assert_eq!(error.to_string(), expected);
        let EditError::NoTrust { remedy, .. } = error else { panic!("{error}") };
        let line = remedy.strip_prefix("write ").expect("what to write");
        assert_eq!(line, format!("client_auth = {{ mode = \"{}\", ca = \"ours\" }}", mode.label()));
        load(&text.replace("client_auth = { mode = \"off\" }", line));
    }
}

#[test]
fn a_host_is_found_by_any_of_its_names_as_they_are_configured() {
    let text = include_str!("../../../config/originlock.toml");
    let config = load(text);
    for (name, first) in [
        ("shop.example.com", Some("shop.example.com")),
        ("SHOP.example.com.", Some("shop.example.com")),
        ("*.shop.example.com", Some("shop.example.com")),
        ("eu.shop.example.com", None),
        ("api.example.com", Some("api.example.com")),
        ("", None),
        ("\u{1b}[2J", None),
    ] {
        let found = config.host(name).map(|host| host.names[0].value.to_string());
        assert_eq!(found.as_deref(), first, "{name}");
    }
}

/// `old` with a diff of one hunk applied, as `patch` does.
fn applied(old: &str, diff: &str) -> String {
    if diff.is_empty() {
        return old.to_owned();
    }
    let (_, hunk) = diff.split_once("\n@@ -").expect("a hunk");
    let (header, body) = hunk.split_once(" @@\n").expect("its header");
    let numbers: Vec<usize> = header.split([',', ' ', '+']).filter_map(|number| number.parse().ok()).collect();
    let [start, old_lines, new_start, new_lines] = numbers[..] else { panic!("{header}") };
    assert_eq!(start, new_start, "nothing moves before the change");
    let mut lines: Vec<&str> = Vec::new();
    for line in body.split_inclusive('\n') {
        match line.starts_with('\\') {
            // The line before it has no end.
            true => lines.last_mut().into_iter().for_each(|last| *last = &last[..last.len() - 1]),
            false => lines.push(line),
        }
    }
    let side = |sign: char| -> Vec<&str> {
        lines.iter().filter(|line| line.starts_with([' ', sign])).map(|line| &line[1..]).collect()
    };
    let (before, after) = (side('-'), side('+'));
    assert_eq!((before.len(), after.len()), (old_lines, new_lines), "{diff}");
    let text: Vec<_> = old.split_inclusive('\n').collect();
    assert_eq!(before, text[start - 1..start - 1 + old_lines], "{diff}");
    [&text[..start - 1], &after, &text[start - 1 + old_lines..]].concat().concat()
}

/// One host as somebody may write it: `{MODE}` stands where the mode's value does.
fn host_text() -> impl Strategy<Value = String> {
    let shape = prop_oneof![
        Just("client_auth = { mode = {MODE}, ca = \"ours\" }"),
        Just("client_auth={pins=[],ca='ours',mode={MODE}}"),
        Just("client_auth.mode = {MODE}\nclient_auth.ca = \"ours\""),
        Just("client_auth = { ca = \"ours\", # one = \"observe\"\n mode\t=\t{MODE} }"),
    ];
    let table = Just("[host.client_auth]\nca = \"ours\"\nmode = {MODE}".to_owned());
    let noise = "(# [ -~é☃]{0,30}\n|\n|[ \t]*\n){0,4}";
    let inline = (noise, shape, noise).prop_map(|(before, shape, after)| format!("{before}{shape}\n{after}{AROUND}"));
    let own_table =
        (noise, table, noise).prop_map(|(before, table, after)| format!("{AROUND}{before}{table}\n{after}"));
    prop_oneof![inline, own_table]
}

proptest! {
    /// Everything but the value stays byte for byte, and what it means is the same but for that mode.
    #[test]
    fn nothing_but_the_value_moves(
        hosts in prop::collection::vec(host_text(), 1..5),
        quotes in prop::collection::vec(0..QUOTES.len(), 5),
        written in prop::collection::vec(0..MODES.len(), 5),
        picked in 0..5usize,
        wanted in 0..MODES.len(),
        crlf: bool,
        final_newline: bool,
    ) {
        let picked = picked % hosts.len();
        let mut text = format!("# é ☃\n{CA}");
        let mut values: Vec<Range<usize>> = Vec::new();
        for (number, host) in hosts.iter().enumerate() {
            let mode = MODES[written[number]].label();
            let value = format!("{0}{mode}{0}", QUOTES[quotes[number]]);
            let host = format!("[[host]]\n{}", host.replace("a.example", &format!("{number}.example")));
            let host = if crlf { host.replace('\n', "\r\n") } else { host };
            // A comment may hold the mark as well; it then is no mark.
            let at = host.find("{MODE}").expect("a mark");
            values.push(text.len() + at..text.len() + at + value.len());
            text += &host.replacen("{MODE}", &value, 1);
        }
        if !final_newline {
            text.truncate(text.trim_end().len());
        }
        let wanted = MODES[wanted];
        let result = edited(&text, &format!("{picked}.example"), wanted);
        let Range { start, end } = values[picked].clone();
        let quote = QUOTES[quotes[picked]];
        prop_assert_eq!(&result.text, &format!("{}{quote}{}{quote}{}", &text[..start], wanted.label(), &text[end..]));
        prop_assert_eq!(&applied(&text, &result.diff), &result.text);
        prop_assert_eq!(result.line, text[..start].matches('\n').count() + 1);
        let (old, new) = (load(&text), load(&result.text));
        for (number, (old, new)) in old.hosts.iter().zip(&new.hosts).enumerate() {
            let expected = if number == picked { wanted } else { old.value.client_auth.mode.value };
            prop_assert_eq!(new.value.client_auth.mode.value, expected);
        }
    }
}
