//! The precedence rules as plainly as they can be written, against which the index is tested on
//! random routes and requests.

use std::cmp::Ordering;

use http::HeaderMap;
use proptest::prelude::*;

use super::decision::RequestHead;
use super::hostname;
use super::index::RuleSet;
use super::matching::{Match, PathMatch, Pattern};
use super::table::{ObjectRef, Rule};

/// One candidate: a rule, the hostname of it that fits best, and its place in age.
struct Candidate<'a> {
    rule: &'a Rule,
    hostname: Option<&'a str>,
    age: usize,
}

/// GATEWAY.md 4: look at every rule, keep those that fit, take the first by the list of criteria.
fn choose<'a>(rules: &'a [Rule], head: &RequestHead) -> Option<&'a Rule> {
    let mut fitting: Vec<Candidate> = Vec::new();
    for (age, rule) in rules.iter().enumerate() {
        if !rule.matched.fits(head) {
            continue;
        }
        if rule.hostnames.is_empty() {
            fitting.push(Candidate {
                rule,
                hostname: None,
                age,
            });
        }
        for name in &rule.hostnames {
            if hostname::covers(name, head.host) {
                fitting.push(Candidate {
                    rule,
                    hostname: Some(name),
                    age,
                });
            }
        }
    }
    fitting.sort_by(compare);
    fitting.first().map(|c| c.rule)
}

fn compare(a: &Candidate, b: &Candidate) -> Ordering {
    let exact = |c: &Candidate| {
        c.hostname
            .filter(|h| !h.starts_with('*'))
            .map_or(0, str::len)
    };
    let any = |c: &Candidate| c.hostname.map_or(0, str::len);
    let is_exact = |c: &Candidate| matches!(c.rule.matched.path, PathMatch::Exact(_));
    let prefix = |c: &Candidate| match &c.rule.matched.path {
        PathMatch::Prefix(p) => p.len().max(1),
        PathMatch::Exact(p) => p.len(),
        _ => 0,
    };
    exact(b)
        .cmp(&exact(a))
        .then(any(b).cmp(&any(a)))
        .then(is_exact(b).cmp(&is_exact(a)))
        .then(prefix(b).cmp(&prefix(a)))
        .then(
            b.rule
                .matched
                .method
                .is_some()
                .cmp(&a.rule.matched.method.is_some()),
        )
        .then(
            b.rule
                .matched
                .headers
                .len()
                .cmp(&a.rule.matched.headers.len()),
        )
        .then(b.rule.matched.query.len().cmp(&a.rule.matched.query.len()))
        .then(a.age.cmp(&b.age))
}

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec("[ab]{1,2}", 0..4).prop_map(|parts| format!("/{}", parts.join("/")))
}

fn host() -> impl Strategy<Value = String> {
    proptest::collection::vec("[xy]", 1..4).prop_map(|labels| labels.join("."))
}

fn pair() -> impl Strategy<Value = (String, Pattern)> {
    ("[mn]", "[01]").prop_map(|(name, value)| (name, Pattern::Exact(value)))
}

fn rule() -> impl Strategy<Value = Rule> {
    let path = prop_oneof![
        path().prop_map(PathMatch::Exact),
        path().prop_map(|p| PathMatch::Prefix(p.trim_end_matches('/').to_owned())),
        Just(PathMatch::Any),
    ];
    let hostname = prop_oneof![host(), host().prop_map(|h| format!("*.{h}"))];
    (
        path,
        proptest::option::of("GET|PUT"),
        proptest::collection::vec(pair(), 0..2),
        proptest::collection::vec(pair(), 0..2),
        proptest::collection::vec(hostname, 0..3),
    )
        .prop_map(|(path, method, headers, query, hostnames)| Rule {
            route: ObjectRef::default(),
            hostnames,
            matched: Match {
                path,
                method,
                headers,
                query,
            },
            action: Default::default(),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_index_chooses_as_the_rules_say(
        mut rules in proptest::collection::vec(rule(), 0..24),
        path in path(),
        slash in any::<bool>(),
        host in host(),
        method in "GET|PUT",
        header in "[01]",
        query in "(m=[01])?",
    ) {
        for (number, rule) in rules.iter_mut().enumerate() {
            rule.route.name = number.to_string();
        }
        let mut headers = HeaderMap::new();
        headers.insert("m", header.parse().unwrap());
        let path = if slash { format!("{path}/") } else { path };
        let head = RequestHead {
            method: &method, host: &host, port: None, path: &path, query: &query, headers: &headers,
        };
        let set = RuleSet::new(rules.clone());
        let by_index = set.choose(&head).map(|r| &r.route.name);
        let by_reference = choose(&rules, &head).map(|r| &r.route.name);
        prop_assert_eq!(by_index, by_reference);
    }
}
