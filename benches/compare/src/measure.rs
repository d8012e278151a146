//! Contestants, programs, and their runs in turn.

use crate::Row;
use perilune_compare::child::{self, Outcome};
use perilune_oracle::{build, puc, root};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that runs Lua, with its options.
pub struct Contestant {
    /// As the command line names it.
    pub name: String,
    program: PathBuf,
    options: &'static [&'static str],
    /// Whether it runs Lua 5.4.
    modern: bool,
}

impl Contestant {
    /// The contestant that `--peers` calls `name`, built if need be.
    pub fn named(name: &str) -> Result<Contestant, String> {
        let luajit = || build("perilune-luajit", "luajit-peer", &["--features", "perilune-luajit/peer"]);
        let perilune = || build("perilune", "perilune", &[]);
        let (program, options, modern): (_, &[&str], _) = match name {
            "puc" => (puc().to_path_buf(), &[], true),
            "luajit" => (luajit(), &[], false),
            "luajit-off" => (luajit(), &["-joff"], false),
            "perilune" => (perilune(), &[], true),
            "off" => (perilune(), &["-joff"], true),
            _ => return Err(format!("no peer is called '{name}'")),
        };
        Ok(Contestant { name: name.into(), program, options, modern })
    }

    /// The executable.
    pub fn program(&self) -> &Path {
        &self.program
    }
}

/// A script with the size that makes it a benchmark.
pub struct Program {
    /// The file's name without its ending.
    pub name: String,
    script: PathBuf,
    size: String,
    /// What it needs of Lua 5.4.
    needs: Option<String>,
}

impl Program {
    /// The script's file.
    pub fn script(&self) -> &Path {
        &self.script
    }
}

/// The programs of `benches/programs/sizes.txt` that match one of `patterns`.
pub fn programs(patterns: &[String]) -> Result<Vec<Program>, String> {
    let folder = root().join("benches/programs");
    let list = folder.join("sizes.txt");
    let text = std::fs::read_to_string(&list).map_err(|e| format!("{}: {e}", list.display()))?;
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let (left, needs) =
            line.split_once('|').map_or((line, None), |(left, right)| (left, Some(right.trim().into())));
        let (name, size) = left.trim().split_once(' ').ok_or_else(|| format!("{}: '{line}'", list.display()))?;
        let script = folder.join(format!("{name}.lua"));
        if patterns.iter().any(|pattern| matches(pattern, name)) {
            found.push(Program { name: name.into(), script, size: size.trim().into(), needs });
        }
    }
    Ok(found)
}

/// A script that does nothing, to measure starts.
pub fn empty() -> Result<Program, String> {
    let script = std::env::temp_dir().join(format!("perilune-compare-{}.lua", std::process::id()));
    std::fs::write(&script, "").map_err(|e| format!("{}: {e}", script.display()))?;
    Ok(Program { name: "start".into(), script, size: String::new(), needs: None })
}

/// Whether `name` matches `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            tail.char_indices().map(|(i, _)| i).chain([tail.len()]).any(|i| matches(rest, &tail[i..]))
        }),
    }
}

/// Runs each contestant in turn, `runs` times; answers CPU times in seconds.
pub fn alternate(program: &Program, all: &[Contestant], runs: usize, small: bool) -> Result<Row, String> {
    let mut row: Row = all
        .iter()
        .map(|c| match &program.needs {
            Some(needs) if !c.modern => Err(needs.clone()),
            _ => Ok(Vec::new()),
        })
        .collect();
    let mut expected = None;
    for _ in 0..runs {
        for (contestant, times) in all.iter().zip(&mut row) {
            let Ok(times) = times else { continue };
            let size = (!small).then_some(program.size.as_str());
            let (time, output) = once(contestant, program, size)?;
            if *expected.get_or_insert_with(|| output.clone()) != output {
                return Err(format!(
                    "{} says something else about {} than {}",
                    contestant.name, program.name, all[0].name
                ));
            }
            times.push(time);
        }
    }
    Ok(row)
}

/// One run: CPU seconds of the child, and what it wrote to stdout.
fn once(contestant: &Contestant, program: &Program, size: Option<&str>) -> Result<(f64, Vec<u8>), String> {
    let mut command = Command::new(&contestant.program);
    command.args(contestant.options).arg(&program.script).args(size);
    command.env_remove("LUA_INIT").env_remove("LUA_INIT_5_4");
    let fail = |what: String| format!("{} with {}: {what}", contestant.name, program.name);
    let Outcome { time, status, output } = child::run(&mut command).map_err(fail)?;
    if status != 0 {
        return Err(fail(format!("ends with wait status {status:#x}")));
    }
    Ok((time, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        for (pattern, name, wanted) in [
            ("*", "nbody", true),
            ("nbody", "nbody", true),
            ("n*y", "nbody", true),
            ("n*o", "nbody", false),
            ("*b*d*", "nbody", true),
            ("body", "nbody", false),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn every_program_has_a_size() {
        let mut sized: Vec<_> =
            programs(&["*".into()]).expect("the list can be read").into_iter().map(|p| p.name).collect();
        let mut there: Vec<_> = perilune_oracle::cases()
            .into_iter()
            .filter(|case| case.script.parent().is_some_and(|folder| folder.ends_with("benches/programs")))
            .map(|case| case.name)
            .collect();
        sized.sort();
        there.sort();
        assert_eq!(sized, there);
    }
}
