# The project's tasks. `just` alone lists them; `pip install rust-just` installs it.

# A step of each of the workshop's scenes.
picture_steps := "2,3,6,9,11,13,16,17,19,21,22,23,24,26,29,30,31,33,34,35,36,40,41,44,45,49"

_default:
    @just --list

# Format, lints, docs: what .ci/run checks before the tests.
check:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

# All tests. FOOTLIGHTS_KUBECTLS=DIR:DIR adds directories with other kubectls.
test:
    cargo test --locked

# The bundled tour.
demo:
    cargo run --release --locked

# The figures of docs/performance.md.
bench:
    cargo bench --locked --bench figures

# Ten minutes of full load with routes changing each second.
soak:
    cargo bench --locked --bench figures -- soak 600

# Accept changed screens and plans after looking at them.
snap:
    INSTA_UPDATE=always cargo test --locked --test footlights -- screens plans

# All pictures of docs/workshop.md, by the program itself.
pictures:
    cargo run --release --locked -- screenshot demos/gateway-api --step {{picture_steps}} --force -o 'docs/pictures/workshop-{step}.svg'

# Licences and duplicates, by deny.toml; needs cargo-deny.
deny:
    cargo deny --offline check licenses bans sources

# Each fuzz target for a minute; needs cargo-fuzz and a nightly toolchain.
fuzz:
    for target in read patch crd routes grpc; do cargo +nightly fuzz run $target -- -max_total_time=60 -max_len=4096 || exit 1; done
