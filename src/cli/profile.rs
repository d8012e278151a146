//! `--profile=FILE`: a flame graph if the file's name ends in `.svg`, else stacks with their numbers of samples.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use perilune::Profile;

/// Writes what a profile has found.
pub fn write(profile: &Profile, path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let folded = profile.folded();
    if path.extension().is_none_or(|ending| ending != "svg") {
        return file.write_all(folded.as_bytes());
    }
    if folded.is_empty() {
        return file.write_all(EMPTY.as_bytes());
    }
    let mut options = inferno::flamegraph::Options::default();
    options.title = "perilune".into();
    options.subtitle = Some(profile.summary());
    options.count_name = "samples".into();
    options.name_type = "Function:".into();
    options.min_width = 0.05;
    inferno::flamegraph::from_lines(&mut options, folded.lines(), file).map_err(io::Error::other)
}

/// The picture of a program that was too short.
const EMPTY: &str =
    r#"<svg xmlns="http://www.w3.org/2000/svg" width="400" height="40"><text x="10" y="25">no samples</text></svg>"#;
