#include "app/config/fields.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/core/nearest.h"

namespace app {
namespace {

using base::Code;
using base::fail_on;
using base::Result;

constexpr double kMaxBytes = 1e15;

using Ref = FieldRef (*)(Config&);

Field text(std::string_view section, std::string_view name, std::string_view alias, Ref ref,
           std::string_view help) {
    return {section, name, alias, "", 0, 0, {}, false, ref, help};
}
Field secret(std::string_view section, std::string_view name, Ref ref, std::string_view help) {
    return {section, name, "", "", 0, 0, {}, true, ref, help};
}
Field toggle(std::string_view section, std::string_view name, std::string_view alias, Ref ref,
             std::string_view help) {
    return text(section, name, alias, ref, help);
}
Field word(std::string_view section, std::string_view name, std::string_view alias,
           std::vector<std::string_view> choices, Ref ref, std::string_view help) {
    return {section, name, alias, "", 0, 0, std::move(choices), false, ref, help};
}
Field number(std::string_view section, std::string_view name, std::string_view alias,
             std::string_view unit, double min, double max, Ref ref, std::string_view help) {
    return {section, name, alias, unit, min, max, {}, false, ref, help};
}

#define DG_AT(member) [](Config& c) -> FieldRef { return &c.member; }

// clang-format off
const std::vector<Field>& table() {
    static const std::vector<Field> fields = {
    text("server", "host", "--host", DG_AT(server.host),
         "Address to listen on. 0.0.0.0 opens the server to the network: it has no login yet."),
    number("server", "port", "-p,--port", "", 0, 65535, DG_AT(server.port),
         "TCP port; 0 takes a free one and prints it."),
    number("server", "threads", "", "threads", 1, 256, DG_AT(server.threads),
         "Network threads. The engine has its own."),
    number("server", "drain_timeout_s", "", "seconds", 0, 3600, DG_AT(server.drain_timeout_s),
         "How long running answers may go on after SIGTERM or Ctrl-C."),
    text("server", "cors_origins", "", DG_AT(server.cors_origins),
         "Origins whose pages may call the server, separated by commas; '*' allows any."),
    text("server", "allowed_hosts", "", DG_AT(server.allowed_hosts),
         "Host names to answer to beside localhost, by commas; empty: none on loopback, else any."),
    toggle("server", "console", "", DG_AT(server.console),
         "Serve the web console at /."),

    number("engine", "threads", "-t,--threads", "threads", 0, 1024, DG_AT(engine.threads),
         "Compute threads; 0 takes the physical cores available."),
    number("engine", "context_tokens_max", "-c,--context", "tokens", 0, 1 << 20,
         DG_AT(engine.context_tokens_max),
         "Prompt and answer of one request; 0 takes the model's own, at most 8192."),
    number("engine", "kv_bytes_max", "", "bytes", 0, kMaxBytes, DG_AT(engine.kv_bytes_max),
         "Memory for the KV cache of all requests; 0 takes a quarter of the free memory."),
    word("engine", "kv_type", "", {"f16", "bf16", "q8"}, DG_AT(engine.kv_type),
         "How the KV cache keeps keys and values; q8 takes 9/16 of the memory."),
    number("engine", "batch_tokens_max", "", "tokens", 1, 65536, DG_AT(engine.batch_tokens_max),
         "Tokens computed in one step."),
    number("engine", "token_gap_target_ms", "", "ms", 0, 3.6e6, DG_AT(engine.token_gap_target_ms),
         "Most time between two tokens of an answer while prompts are read; 0: 3 times the usual."),
    number("engine", "queue_depth_max", "", "requests", 1, 1e6, DG_AT(engine.queue_depth_max),
         "Waiting requests; more are refused with 429."),
    number("engine", "running_max", "", "requests", 1, 4096, DG_AT(engine.running_max),
         "Requests decoded together."),
    toggle("engine", "prefix_cache", "", DG_AT(engine.prefix_cache),
         "Keep the KV cache of what ended for prompts that begin alike."),
    text("engine", "kv_spill_dir", "", DG_AT(engine.kv_spill_dir),
         "Folder for KV of requests set aside when memory runs out; empty: they are computed again."),
    number("engine", "kv_spill_bytes_max", "", "bytes", 0, kMaxBytes,
         DG_AT(engine.kv_spill_bytes_max), "Most that may be there."),
    text("engine", "packed_dir", "", DG_AT(engine.packed_dir),
         "Folder that keeps packed weights between starts: 'auto' is beside the folder of models, "
         "'off' packs into memory at every start."),
    number("engine", "max_tokens_default", "", "tokens", 0, 1 << 20,
         DG_AT(engine.max_tokens_default),
         "Answer length of requests that set none; 0 leaves it to the model and its context."),

    text("models", "model", "-m,--model", DG_AT(models.model),
         "Model to open: a catalogue name, a path to a GGUF file, 'default' or 'smoke'."),
    text("models", "embedder", "--embedder", DG_AT(models.embedder),
         "A second model that answers /v1/embeddings; empty: the first one does."),
    text("models", "serve", "--serve-models", DG_AT(models.serve),
         "Further models by commas, loaded when first asked for; names or paths as for --model."),
    toggle("models", "on_demand", "--on-demand", DG_AT(models.on_demand),
         "Also load any model of the folder that a request names."),
    number("models", "memory_bytes_max", "", "bytes", 0, kMaxBytes, DG_AT(models.memory_bytes_max),
         "Memory for all models together, idle ones making room; 0 takes 9/10 of what is free."),
    text("models", "dir", "--models-dir", DG_AT(models.dir),
         "Where models are kept; empty: $XDG_CACHE_HOME/dougong/models or ~/.cache/dougong/models."),
    text("models", "hub_url", "--hub-url", DG_AT(models.hub_url),
         "The model hub that 'owner/name[:file]' is pulled from."),
    secret("models", "hub_token", DG_AT(models.hub_token),
         "Access token for gated models of the hub. Better in the environment than in a flag."),
    text("models", "proxy", "", DG_AT(models.proxy),
         "HTTP proxy for pulls, as http://host:port; empty: none."),
    toggle("models", "offline", "--offline", DG_AT(models.offline),
         "Never use the network to get a model."),

    word("sandbox", "enabled", "", {"auto", "on", "off"}, DG_AT(sandbox.enabled),
         "Offer sandboxes under /v1/sandboxes: auto on loopback where this host can make them; on "
         "anywhere, or fail."),
    number("sandbox", "sandboxes_max", "", "sandboxes", 1, 100'000, DG_AT(sandbox.sandboxes_max),
         "Sandboxes at a time; more are refused with 429."),
    number("sandbox", "pool_size", "", "sandboxes", 0, 1024, DG_AT(sandbox.pool_size),
         "Sandboxes kept ready at most, so that making one takes no time; how many follows what is asked for. 0: none."),
    number("sandbox", "warm_sessions", "", "interpreters", 0, 256, DG_AT(sandbox.warm_sessions),
           "Interpreters of each language kept running at most, so that a session in a fresh sandbox opens at once; how many follows demand, one python at least. 0: none."),
    text("sandbox", "python_modules", "", DG_AT(sandbox.python_modules),
         "What python loads while it waits for its session, by commas; those not installed are left out. Empty: a common set with numpy and pandas."),
    text("sandbox", "state_dir", "", DG_AT(sandbox.state_dir),
         "Folder for what a later start must clean up; empty: in $XDG_RUNTIME_DIR or /tmp."),
    text("sandbox", "data_dir", "", DG_AT(sandbox.data_dir),
         "Folder for images and kept snapshots, on a disk; empty: state_dir where that is named, "
         "else $XDG_DATA_HOME/dougong/sandboxes or ~/.local/share/dougong/sandboxes."),
    number("sandbox", "kept_snapshots_max", "", "snapshots", 0, 1'000'000,
           DG_AT(sandbox.kept_snapshots_max),
           "Snapshots kept on disk (persist); more are refused with 429."),
    number("sandbox", "kept_snapshot_bytes_max", "", "bytes", 0, kMaxBytes,
           DG_AT(sandbox.kept_snapshot_bytes_max),
           "Disk for kept snapshots, in data_dir; equal files of two are there once."),
    text("sandbox", "policies", "", DG_AT(sandbox.policies),
         "Policy file, or folder of them; empty: sandboxes of the default size without network."),
    text("sandbox", "secrets_file", "", DG_AT(sandbox.secrets_file),
         "YAML file of NAME: VALUE for policies to grant; only its owner may reach it (mode 0600)."),
    text("sandbox", "audit_dir", "", DG_AT(sandbox.audit_dir),
         "Folder of the record; empty: beside state_dir, else in $XDG_STATE_HOME or ~/.local/state."),
    text("sandbox", "audit_ship", "", DG_AT(sandbox.audit_ship),
         "Where copies of the record go, by commas: file:/path, syslog, syslog:/socket, a URL."),
    text("sandbox", "runsc", "", DG_AT(sandbox.runsc),
         "The runsc program that gives isolation gvisor, by name or path; empty: none."),
    word("sandbox", "runsc_platform", "", {"auto", "systrap", "ptrace", "kvm"},
         DG_AT(sandbox.runsc_platform),
         "How runsc meets system calls; auto is the first of systrap and ptrace that works."),
    text("sandbox", "microvm_vmm", "", DG_AT(sandbox.microvm_vmm),
         "firecracker or qemu-system-x86_64, by name or path, for isolation microvm; empty: none."),
    text("sandbox", "microvm_kernel", "", DG_AT(sandbox.microvm_kernel),
         "The kernel that its machines boot."),
    text("sandbox", "microvm_root", "", DG_AT(sandbox.microvm_root),
         "Their root: a disk image or an initramfs archive; empty: nothing but the agent."),
    toggle("sandbox", "microvm_emulate", "", DG_AT(sandbox.microvm_emulate),
           "qemu without KVM; far slower."),

    word("memory", "enabled", "", {"auto", "on", "off"}, DG_AT(memory.enabled),
         "Offer memories under /v1/memories: auto does without where the folder is in use; on fails."),
    text("memory", "dir", "", DG_AT(memory.dir),
         "Folder of memories, or postgresql://USER:PASSWORD@HOST/DATABASE?schema=NAME, which several "
         "servers may share; empty: $XDG_DATA_HOME/dougong/memory or ~/.local/share/dougong/memory."),
    text("memory", "sessions", "", DG_AT(memory.sessions),
         "Where short_term memories are, for several servers: redis://USER:PASSWORD@HOST:PORT/DATABASE "
         "or redis+unix:///SOCKET, with ?prefix=NAME; empty: with the others."),
    text("memory", "embedder", "", DG_AT(memory.embedder),
         "What makes vectors: auto (the encoder inside the program; English), none, a model's name or "
         "path, or the URL of an API up to and with /v1."),
    text("memory", "embedder_model", "", DG_AT(memory.embedder_model),
         "What that API calls its model."),
    secret("memory", "embedder_key", DG_AT(memory.embedder_key),
         "The key of that API. Better in the environment than in a flag."),
    text("memory", "facts", "", DG_AT(memory.facts),
         "What reads facts out of memories, in the background: rules, off, or the URL of an API up to "
         "and with /v1 whose model does."),
    text("memory", "facts_model", "", DG_AT(memory.facts_model),
         "What that API calls its model."),
    secret("memory", "facts_key", DG_AT(memory.facts_key),
         "The key of that API. Better in the environment than in a flag."),
    text("memory", "reranker", "", DG_AT(memory.reranker),
         "What reads hits beside the question when a search asks for it: a cross-encoder's name or "
         "path, or the URL of an API up to and with /v1; empty: nothing."),
    text("memory", "reranker_model", "", DG_AT(memory.reranker_model),
         "What that API calls its model."),
    secret("memory", "reranker_key", DG_AT(memory.reranker_key),
         "The key of that API. Better in the environment than in a flag."),
    toggle("memory", "reranker_chat", "", DG_AT(memory.reranker_chat),
           "That model chats: it is asked to grade each text, instead of /rerank."),
    number("memory", "shards", "", "files", 1, 256, DG_AT(memory.shards),
         "Files that tenants are spread over; an existing folder keeps its own number."),
    number("memory", "index_bytes_max", "", "bytes", 1 << 20, kMaxBytes, DG_AT(memory.index_bytes_max),
         "Memory for indexes; those used longest ago are dropped and made again when asked for."),
    number("memory", "versions_keep_days", "", "days", 0, 36'500, DG_AT(memory.versions_keep_days),
         "How long earlier versions and removed entries can be brought back."),
    word("memory", "encryption", "", {"off", "subject"}, DG_AT(memory.encryption),
         "subject seals what memories say with a key for each user and agent, which forgetting them "
         "erases first; older ones follow in the background, and indexes stay in memory."),
    text("memory", "key_file", "", DG_AT(memory.key_file),
         "Where the key is that wraps those keys, made when it is first needed: keep a copy apart. "
         "Empty: memory.key with the files of memories."),
    number("memory", "compress_entries", "", "memories", 0, 1'000'000, DG_AT(memory.compress_entries),
         "A session with more is compressed to half of it in the background, reversibly; 0: never."),
    number("memory", "compress_tokens", "", "tokens", 0, 1'000'000'000, DG_AT(memory.compress_tokens),
         "The same for what its memories say; 0: never."),
    number("memory", "compress_sentences", "", "sentences", 1, 50, DG_AT(memory.compress_sentences),
         "Of a summary that is made then, at most."),
    text("memory", "summaries", "", DG_AT(memory.summaries),
         "Who writes those summaries: the URL of an API up to and with /v1 whose model does; empty, "
         "or where it cannot: sentences are picked."),
    text("memory", "summaries_model", "", DG_AT(memory.summaries_model),
         "What that API calls its model."),
    secret("memory", "summaries_key", DG_AT(memory.summaries_key),
         "The key of that API. Better in the environment than in a flag."),

    word("flow", "enabled", "", {"auto", "on", "off"}, DG_AT(flow.enabled),
         "Offer workflows under /v1/workflows and /v1/runs: auto does without where the folder is in "
         "use; on fails."),
    word("flow", "store", "", {"journal", "postgresql"}, DG_AT(flow.store),
         "Where runs are: in this process's journal, or in a PostgreSQL that several processes share."),
    text("flow", "postgresql", "", DG_AT(flow.postgresql),
         "That database: postgresql://USER:PASSWORD@HOST/DATABASE?schema=NAME."),
    number("flow", "lease_s", "", "seconds", 1, 3600, DG_AT(flow.lease_s),
         "How long a process that gives no sign keeps its runs before others go on with them."),
    text("flow", "own_url", "", DG_AT(flow.own_url),
         "Where people find this process among those that share the database; empty: its address."),
    text("flow", "dir", "", DG_AT(flow.dir),
         "Folder of workflows and their journal; empty: $XDG_DATA_HOME/dougong/flow or "
         "~/.local/share/dougong/flow."),
    text("flow", "alarms", "", DG_AT(flow.alarms),
         "File of alarm rules and of the webhooks that are told; see docs/alarms.md."),
    number("flow", "threads", "", "threads", 1, 1024, DG_AT(flow.threads),
         "Steps that may wait for something at once: models, sandboxes, other servers."),

    word("log", "level", "--log-level", {"debug", "info", "warn", "error", "off"}, DG_AT(log.level),
         "The least severe lines that are written."),
    word("log", "format", "", {"auto", "text", "json"}, DG_AT(log.format),
         "Lines for people, or one JSON object a line; auto is text on a terminal."),
    text("log", "file", "", DG_AT(log.file),
         "Where log lines go; empty: stderr."),

    text("trace", "otlp_endpoint", "--otlp-endpoint", DG_AT(trace.otlp_endpoint),
         "Send spans by OTLP/HTTP JSON to this URL (for example http://127.0.0.1:4318/v1/traces)."),

    number("limits", "connections_max", "", "connections", 1, 1e6, DG_AT(limits.connections_max),
         "Open connections; more are answered 503."),
    number("limits", "header_bytes_max", "", "bytes", 1024, 1 << 20, DG_AT(limits.header_bytes_max),
         "Largest request head; a larger one gets 431."),
    number("limits", "body_bytes_max", "", "bytes", 1024, kMaxBytes, DG_AT(limits.body_bytes_max),
         "Largest request body; a larger one gets 413."),
    number("limits", "stream_buffer_bytes", "", "bytes", 4096, kMaxBytes,
         DG_AT(limits.stream_buffer_bytes),
         "Answer bytes waiting for one slow client before it is cut off."),
    number("limits", "read_timeout_s", "", "seconds", 0.1, 3600, DG_AT(limits.read_timeout_s),
         "Time for a request to arrive; then 408."),
    number("limits", "idle_timeout_s", "", "seconds", 0.1, 86400, DG_AT(limits.idle_timeout_s),
         "How long a silent keep-alive connection is kept."),
    number("limits", "write_timeout_s", "", "seconds", 0.1, 3600, DG_AT(limits.write_timeout_s),
         "How long a client may take none of its answer."),
    number("limits", "generation_timeout_s", "", "seconds", 0, 86400,
         DG_AT(limits.generation_timeout_s),
         "Time for one generation; 0 sets no limit."),
    number("limits", "choices_max", "", "choices", 1, 128, DG_AT(limits.choices_max),
         "Largest 'n' of one request."),
    number("limits", "prompts_max", "", "prompts", 1, 4096, DG_AT(limits.prompts_max),
         "Prompts in one /v1/completions request."),
    number("limits", "embed_inputs_max", "", "texts", 1, 65536, DG_AT(limits.embed_inputs_max),
         "Texts in one /v1/embeddings request."),
    number("limits", "embed_queue_max", "", "requests", 1, 65536, DG_AT(limits.embed_queue_max),
         "Embedding requests waiting; more get 429."),
    number("limits", "request_log_rows", "", "rows", 1, 1e6, DG_AT(limits.request_log_rows),
         "Finished requests the console can list."),
    number("limits", "streams_max", "", "streams", 1, 65536, DG_AT(limits.streams_max),
         "Resumable streams and background responses kept at once; more get 429."),
    number("limits", "stream_log_bytes_max", "", "bytes", 4096, kMaxBytes,
         DG_AT(limits.stream_log_bytes_max),
         "Events of one resumable stream kept for readers that come back; the oldest go."),
    number("limits", "stream_keep_s", "", "seconds", 0.1, 86400, DG_AT(limits.stream_keep_s),
         "How long a resumable stream goes on unread, and is kept after its end."),
    number("limits", "responses_max", "", "responses", 1, 1e6, DG_AT(limits.responses_max),
         "Stored answers of /v1/responses; the oldest go."),
    number("limits", "responses_bytes_max", "", "bytes", 4096, kMaxBytes,
         DG_AT(limits.responses_bytes_max),
         "Memory of the stored answers of /v1/responses; the oldest go."),
    };
    return fields;
}
// clang-format on

#undef DG_AT

template <class... Cases>
struct Overload : Cases... {
    using Cases::operator()...;
};

struct Suffix {
    std::string_view text;
    double factor;
};
constexpr std::array<Suffix, 10> kByteSuffixes = {{{"KiB", 1024.0},
                                                   {"MiB", 1048576.0},
                                                   {"GiB", 1073741824.0},
                                                   {"TiB", 1099511627776.0},
                                                   {"KB", 1e3},
                                                   {"MB", 1e6},
                                                   {"GB", 1e9},
                                                   {"TB", 1e12},
                                                   {"B", 1.0},
                                                   {"", 1.0}}};
constexpr std::array<Suffix, 5> kTimeSuffixes = {
    {{"ms", 1e-3}, {"min", 60.0}, {"h", 3600.0}, {"s", 1.0}, {"", 1.0}}};

/// The number before a suffix that the unit allows, scaled; nothing when it is not one.
std::optional<double> parse_number(std::string_view text, std::string_view unit) {
    double number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || !std::isfinite(number)) return std::nullopt;
    std::string_view suffix(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
    if (suffix.empty()) return number;
    if (suffix.front() == ' ') suffix.remove_prefix(1);
    const auto find = [&](const auto& suffixes) -> std::optional<double> {
        for (const Suffix& known : suffixes) {
            if (suffix == known.text) return number * known.factor;
        }
        return std::nullopt;
    };
    if (unit == "bytes") return find(kByteSuffixes);
    if (unit == "seconds") return find(kTimeSuffixes);
    return std::nullopt;
}

std::optional<bool> parse_bool(std::string_view text) {
    for (const std::string_view word : {"true", "yes", "on", "1"}) {
        if (text == word) return true;
    }
    for (const std::string_view word : {"false", "no", "off", "0"}) {
        if (text == word) return false;
    }
    return std::nullopt;
}

Result<double> number_in_range(const Field& field, std::string_view text, std::string_view source,
                               bool whole) {
    const auto number = parse_number(text, field.unit);
    if (!number || (whole && *number != std::floor(*number))) {
        const std::string unit = field.unit.empty() ? "" : fmt::format(" of {}", field.unit);
        return fail_on(field.path(), Code::invalid_argument, "{}: {} is '{}', expected a {}{}",
                       source, field.path(), text, whole ? "whole number" : "number", unit);
    }
    if (*number < field.min || *number > field.max) {
        return fail_on(field.path(), Code::invalid_argument, "{}: {} is {}, expected {}{}{}",
                       source, field.path(), text, range_text(field), field.unit.empty() ? "" : " ",
                       field.unit);
    }
    return *number;
}

Result<std::string> checked_word(const Field& field, std::string_view text,
                                 std::string_view source) {
    if (field.choices.empty()) return std::string(text);
    for (const std::string_view choice : field.choices) {
        if (choice == text) return std::string(text);
    }
    return fail_on(field.path(), Code::invalid_argument, "{}: {} is '{}', expected {}{}", source,
                   field.path(), text, range_text(field), base::did_you_mean(text, field.choices));
}

template <class T>
Result<void> store_number(T* slot, const Field& field, std::string_view text,
                          std::string_view source) {
    *slot =
        static_cast<T>(DG_TRY(number_in_range(field, text, source, !std::is_floating_point_v<T>)));
    return {};
}

}  // namespace

std::string Field::path() const {
    return fmt::format("{}.{}", section, name);
}
std::string Field::flag() const {
    return fmt::format("--{}.{}", section, name);
}

std::string Field::environment() const {
    std::string text = fmt::format("DOUGONG_{}_{}", section, name);
    for (char& c : text) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return text;
}

bool Field::is_switch() const {
    Config config;
    return std::holds_alternative<bool*>(ref(config));
}

std::span<const Field> config_fields() {
    return table();
}

const Field* find_field(std::string_view path) {
    for (const Field& field : table()) {
        if (field.path() == path) return &field;
    }
    return nullptr;
}

Result<void> set_field(Config& config, const Field& field, std::string_view text,
                       std::string_view source) {
    return std::visit(
        Overload{
            [&](std::string* slot) -> Result<void> {
                *slot = DG_TRY(checked_word(field, text, source));
                return {};
            },
            [&](bool* slot) -> Result<void> {
                const auto value = parse_bool(text);
                if (!value) {
                    return fail_on(field.path(), Code::invalid_argument,
                                   "{}: {} is '{}', expected true or false", source, field.path(),
                                   text);
                }
                *slot = *value;
                return {};
            },
            [&](auto* slot) -> Result<void> { return store_number(slot, field, text, source); },
        },
        field.ref(config));
}

std::string field_text(const Config& config, const Field& field) {
    Config copy = config;
    return std::visit(Overload{[](std::string* value) { return *value; },
                               [](bool* value) { return std::string(*value ? "true" : "false"); },
                               [](auto* value) { return fmt::format("{}", *value); }},
                      field.ref(copy));
}

std::string range_text(const Field& field) {
    if (!field.choices.empty()) {
        std::string text;
        for (std::size_t i = 0; i < field.choices.size(); ++i) {
            if (i > 0) text += i + 1 == field.choices.size() ? " or " : ", ";
            text += field.choices[i];
        }
        return text;
    }
    if (field.min == 0 && field.max == 0) return "";
    const auto number = [](double value) {
        return value >= 1e15 ? fmt::format("{:.0e}", value) : fmt::format("{}", value);
    };
    return fmt::format("{} to {}", number(field.min), number(field.max));
}

std::string_view kind_text(const Field& field) {
    Config config;
    return std::visit(Overload{[&](std::string*) -> std::string_view {
                                   return field.choices.empty() ? "text" : "word";
                               },
                               [](bool*) -> std::string_view { return "true or false"; },
                               [&](auto*) -> std::string_view {
                                   return field.unit.empty() ? "number" : field.unit;
                               }},
                      field.ref(config));
}

}  // namespace app
