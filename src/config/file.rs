//! From a path to a [`Config`]: the main file, then what it includes.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use crate::config::model::{Config, Placed};
use crate::config::parse::{Draft, HABITS};
use crate::config::problem::{Place, Problem, Problems, Severity, SourceFile};
use crate::config::reader::{Context, Table, quotable};

/// 100,000 hosts in one file take about 30 MiB.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
const MAX_INCLUDED_FILES: usize = 100_000;
/// One missing quote makes a syntax error of every line behind it.
const MAX_SYNTAX_ERRORS: usize = 10;

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// What will bite, none of it an error.
    pub warnings: Problems,
}

/// Reads the configuration at `path` and all files that it includes. On failure, everything that is wrong.
pub fn load(path: &Path) -> Result<Loaded, Problems> {
    match read(path) {
        Ok(text) => parse(path, text),
        Err(reason) => {
            let mut problems = Problems::default();
            let help = "name another file with -c, or start from config/quickstart.toml".to_owned();
            problems.push(Problem::new(Severity::Error, None, format!("{}: {reason}", path.display()), Some(help)));
            Err(problems)
        }
    }
}

/// Reads `text` as the configuration at `path`. Included files are read from the disk.
pub fn parse(path: impl Into<PathBuf>, text: impl Into<String>) -> Result<Loaded, Problems> {
    let main = Arc::new(SourceFile::new(path, text));
    let mut reading = Reading::default();
    let mut patterns = Vec::new();
    reading.file(&main, |draft, context, root| patterns = draft.read_main(context, root));
    for path in reading.included(&main, &patterns) {
        match read(&path.value) {
            Ok(text) => {
                let file = Arc::new(SourceFile::new(path.value, text));
                reading.file(&file, Draft::read_included);
            }
            Err(reason) => {
                let message = format!("{}: {reason}", path.value.display());
                let help = "correct `include` or the file's permissions";
                reading.problems.borrow_mut().error(&path.place, message, help);
                reading.incomplete = true;
            }
        }
    }
    reading.finish(&main)
}

#[derive(Default)]
struct Reading {
    draft: Draft,
    problems: RefCell<Problems>,
    sources: Vec<Arc<SourceFile>>,
    /// Some of what was written could not be read; what refers to it would be blamed wrongly.
    incomplete: bool,
    #[cfg(test)]
    asked: RefCell<std::collections::BTreeMap<String, bool>>,
}

impl Reading {
    fn file(&mut self, file: &Arc<SourceFile>, read: impl FnOnce(&mut Draft, &Context<'_>, Table<'_>)) {
        self.sources.push(Arc::clone(file));
        let (root, errors) = DeTable::parse_recoverable(&file.text);
        let context = Context {
            file,
            problems: &self.problems,
            habits: HABITS,
            #[cfg(test)]
            asked: &self.asked,
        };
        for error in errors.iter().take(MAX_SYNTAX_ERRORS) {
            let place = context.place(error.span().unwrap_or(file.text.len()..file.text.len()));
            context.error(&place, format!("not TOML: {}", quotable(error.message())), "see https://toml.io/en/v1.0.0");
        }
        self.incomplete |= !errors.is_empty();
        // A tree with holes would be blamed for what the syntax error hides.
        if errors.is_empty() {
            let table = Table::new(&context, root.get_ref(), context.place(0..0), Cow::Borrowed(""));
            read(&mut self.draft, &context, table);
        }
    }

    /// The files that `patterns` name, in order of pattern, then of name.
    fn included(&mut self, main: &SourceFile, patterns: &[Placed<String>]) -> Vec<Placed<PathBuf>> {
        let mut files = Vec::new();
        for pattern in patterns {
            let place = || pattern.place.clone();
            match matching(&main.directory().join(&pattern.value)) {
                Ok(paths) => files.extend(paths.into_iter().map(|value| Placed { value, place: place() })),
                Err(reason) => {
                    let message = format!("`include` cannot be \"{}\": {reason}", quotable(&pattern.value));
                    self.problems.borrow_mut().error(&pattern.place, message, "write include = [\"hosts.d/*.toml\"]");
                    self.incomplete = true;
                }
            }
        }
        if let Some(first_too_many) = files.get(MAX_INCLUDED_FILES) {
            let message = format!("`include` names more than {MAX_INCLUDED_FILES} files");
            self.problems.borrow_mut().error(&first_too_many.place, message, "write several hosts into one file");
            files.truncate(MAX_INCLUDED_FILES);
        }
        files
    }

    fn finish(self, main: &Arc<SourceFile>) -> Result<Loaded, Problems> {
        let mut problems = self.problems.into_inner();
        if self.incomplete {
            return Err(problems);
        }
        let start = Place { file: Arc::clone(main), span: 0..0 };
        let config = self.draft.finish(self.sources, &start, &mut problems);
        match problems.has_errors() {
            true => Err(problems),
            false => Ok(Loaded { config, warnings: problems }),
        }
    }
}

/// The text of a file, or why there is none.
fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| describe(&error))?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| describe(&error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err("is larger than 64 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| format!("is not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
}

fn describe(error: &io::Error) -> String {
    format!("cannot be read ({})", error.kind())
}

/// The file at `pattern`, or all files of its directory that match a last component with `*`, sorted.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let name = pattern.file_name().and_then(|name| name.to_str()).ok_or("it names no file")?;
    let directory = pattern.parent().unwrap_or_else(|| Path::new(""));
    if directory.to_string_lossy().contains('*') {
        return Err("`*` may stand in the last component only".to_owned());
    }
    if !name.contains('*') {
        return Ok(vec![pattern.to_owned()]);
    }
    let listed = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let mut paths = Vec::new();
    for entry in fs::read_dir(listed).map_err(|error| format!("its directory {}", describe(&error)))? {
        let entry = entry.map_err(|error| format!("its directory {}", describe(&error)))?;
        let file_name = entry.file_name();
        // Hidden files are editors' and Kubernetes' own.
        if file_name.to_str().is_some_and(|file_name| !file_name.starts_with('.') && matches(name, file_name)) {
            paths.push(directory.join(file_name));
        }
        if paths.len() > MAX_INCLUDED_FILES {
            break;
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether `name` matches `pattern`, where `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(last) = parts.next_back() else { return pattern == name };
    let inner = name.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
    inner.is_some_and(|inner| parts.try_fold(inner, |rest, part| rest.split_once(part).map(|(_, rest)| rest)).is_some())
}

#[cfg(test)]
mod tests;
