//! The rules of one listener or Service port, arranged so that a choice looks at few of them.
//!
//! Hosts and paths are looked up, not searched: a choice takes as long with a thousand routes as
//! with one, unless they have the same path.

use std::collections::{BTreeSet, HashMap};

use super::decision::RequestHead;
use super::matching::PathMatch;
use super::table::Rule;

/// Rules in order of precedence, and where to find them.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    exact_hosts: HashMap<String, Paths>,
    /// By what follows the `*`: `.x.com`.
    wildcards: HashMap<String, Paths>,
    any_host: Paths,
}

/// Places in the order of precedence, by path.
#[derive(Clone, Debug, Default)]
struct Paths {
    exact: HashMap<String, Vec<usize>>,
    prefixes: HashMap<String, Vec<usize>>,
    /// The lengths that prefixes have.
    lengths: BTreeSet<usize>,
    /// Expressions and matches without a path.
    others: Vec<usize>,
}

impl Paths {
    fn add(&mut self, path: &PathMatch, place: usize) {
        match path {
            PathMatch::Exact(path) => self.exact.entry(path.clone()).or_default().push(place),
            PathMatch::Prefix(prefix) => {
                self.lengths.insert(prefix.len());
                self.prefixes.entry(prefix.clone()).or_default().push(place);
            }
            PathMatch::Regex(_) | PathMatch::Any => self.others.push(place),
            PathMatch::Nothing => {}
        }
    }

    /// The best rule that fits.
    fn best(&self, rules: &[Rule], head: &RequestHead) -> Option<usize> {
        let fits = |place: &&usize| rules[**place].matched.fits_but_for_path(head);
        let first = |places: &Vec<usize>| places.iter().find(fits).copied();
        let exact = self.exact.get(head.path).and_then(first);
        let prefix = self
            .lengths
            .iter()
            .filter(|length| {
                let rest = head.path.as_bytes().get(**length..);
                rest.is_some_and(|r| r.is_empty() || r[0] == b'/')
            })
            .filter_map(|length| self.prefixes.get(head.path.get(..*length)?))
            .filter_map(first)
            .min();
        let other = self.others.iter().find(|p| rules[**p].matched.fits(head));
        [exact, prefix, other.copied()].into_iter().flatten().min()
    }
}

impl RuleSet {
    /// Arranges rules; of equal rank, those given first come first.
    pub fn new(mut rules: Vec<Rule>) -> Self {
        rules.sort_by_key(|rule| rule.matched.rank());
        let mut set = RuleSet::default();
        for (place, rule) in rules.iter().enumerate() {
            let path = &rule.matched.path;
            if rule.hostnames.is_empty() {
                set.any_host.add(path, place);
            }
            for name in &rule.hostnames {
                let name = name.to_ascii_lowercase();
                let paths = match name.strip_prefix('*') {
                    Some(suffix) => set.wildcards.entry(suffix.to_owned()).or_default(),
                    None => set.exact_hosts.entry(name).or_default(),
                };
                paths.add(path, place);
            }
        }
        set.rules = rules;
        set
    }

    /// The rule for a request: the most specific hostname first, then by rank.
    pub fn choose(&self, head: &RequestHead) -> Option<&Rule> {
        let best = |paths: &Paths| paths.best(&self.rules, head);
        let exact = self.exact_hosts.get(head.host).and_then(best);
        let place = exact
            .or_else(|| suffixes(head.host).find_map(|s| self.wildcards.get(s).and_then(best)))
            .or_else(|| best(&self.any_host))?;
        self.rules.get(place)
    }
}

/// `.b.c` and `.c` of `a.b.c`, the longest first.
fn suffixes(host: &str) -> impl Iterator<Item = &str> {
    host.match_indices('.')
        .filter(|(at, _)| *at > 0)
        .map(|(at, _)| &host[at..])
}
