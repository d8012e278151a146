//! Makes a text that shows a difference smaller, as long as it still does.

/// The smallest text of pieces that was found, starting from these. `shows` says whether a text still shows the difference;
/// it is asked `tries` times at most.
fn shrink(
    mut pieces: Vec<String>,
    mut tries: usize,
    shows: &mut impl FnMut(&[String]) -> bool,
    more: fn(&[String], usize) -> Vec<Vec<usize>>,
) -> Vec<String> {
    loop {
        let before = pieces.len();
        let mut size = (pieces.len() / 2).max(1);
        while size > 0 {
            let mut at = 0;
            while at < pieces.len() {
                let mut candidates = vec![(at..(at + size).min(pieces.len())).collect::<Vec<_>>()];
                if size == 1 {
                    candidates.extend(more(&pieces, at));
                }
                let smaller = candidates.into_iter().find_map(|gone| {
                    if tries == 0 {
                        return None;
                    }
                    tries -= 1;
                    let kept: Vec<String> = pieces
                        .iter()
                        .enumerate()
                        .filter(|(i, _)| !gone.contains(i))
                        .map(|(_, piece)| piece.clone())
                        .collect();
                    shows(&kept).then_some(kept)
                });
                match smaller {
                    Some(smaller) => pieces = smaller,
                    None => at += size,
                }
            }
            size /= 2;
        }
        if pieces.len() == before || tries == 0 {
            return pieces;
        }
    }
}

/// A program, by its lines.
pub fn program(text: &str, tries: usize, mut shows: impl FnMut(&str) -> bool) -> String {
    let lines = text.lines().map(str::to_string).collect();
    let text = |lines: &[String]| lines.join("\n") + "\n";
    text(&shrink(lines, tries, &mut |lines| shows(&text(lines)), blocks))
}

/// A list of tokens.
pub fn tokens(tokens: Vec<String>, tries: usize, mut shows: impl FnMut(&[String]) -> bool) -> Vec<String> {
    shrink(tokens, tries, &mut shows, |_, _| Vec::new())
}

/// What may go together with a line: the whole block that it begins, or its first and last lines alone.
fn blocks(lines: &[String], at: usize) -> Vec<Vec<usize>> {
    let depth = |line: &String| line.len() - line.trim_start().len();
    let inside = lines[at + 1..].iter().take_while(|line| depth(line) > depth(&lines[at])).count();
    let end = at + inside + 1;
    if inside == 0 || end >= lines.len() {
        return Vec::new();
    }
    vec![(at..=end).collect(), vec![at, end]]
}
