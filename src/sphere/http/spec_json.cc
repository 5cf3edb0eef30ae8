#include "sphere/http/spec_json.h"

#include <utility>

#include "sphere/spec_words.h"

namespace sphere {
namespace {

namespace json = base::json;
using base::ObjectReader;
using base::Result;
using std::chrono::milliseconds;

constexpr std::size_t kTextBytesMax = 4096;
constexpr std::size_t kListMax = 256;
constexpr std::size_t kCodeBytesMax = 4 << 20;
constexpr milliseconds kLongest{std::chrono::hours(24 * 30)};
constexpr std::uint64_t kBytesMax = 1ull << 50;

void read_limits(ObjectReader& in, Limits& limits) {
    in.number("cpus", limits.cpus, 0.01, 4096);
    in.integer<std::uint64_t>("memory_bytes", limits.memory_bytes, 1, kBytesMax);
    in.integer<std::uint32_t>("processes_max", limits.processes_max, 1, 1 << 22);
    in.integer<std::uint64_t>("workspace_bytes", limits.workspace_bytes, 1, kBytesMax);
    in.integer<std::uint64_t>("tmp_bytes", limits.tmp_bytes, 1, kBytesMax);
    in.integer<std::uint64_t>("inodes_max", limits.inodes_max, 1, 1ull << 40);
    in.integer<std::uint32_t>("open_files_max", limits.open_files_max, 8, 1 << 20);
    in.milliseconds("lifetime_ms", limits.lifetime, kLongest);
    in.milliseconds("idle_timeout_ms", limits.idle_timeout, kLongest);
    in.number("gpu_share", limits.gpu_share, 0, 1024);
}

void read_network_fields(ObjectReader& in, NetworkPolicy& network) {
    in.choice("mode", network.mode, kNetworkModes);
    in.texts("allow_domains", network.allow_domains, kListMax, 255);
    in.texts("allow_cidrs", network.allow_cidrs, kListMax, 64);
    in.integer<std::uint64_t>("calls_max", network.calls_max, 0, 1ull << 53);
    in.integer<std::uint64_t>("bytes_max", network.bytes_max, 0, 1ull << 53);
}

void read_root(ObjectReader& in, RootSpec& root) {
    in.choice("kind", root.kind, kRootKinds);
    in.text("path", root.path, kTextBytesMax);
}

/// How each language's interpreter takes a program as an argument.
std::vector<std::string> interpreter_of(std::string_view language, std::string code) {
    if (language == "python") return {"python3", "-c", std::move(code)};
    if (language == "node") return {"node", "-e", std::move(code)};
    return {"bash", "-c", std::move(code)};
}

json::array to_json(const std::vector<std::string>& texts) {
    return json::array(texts.begin(), texts.end());
}

json::object to_json(const std::map<std::string, std::string>& map) {
    json::object out;
    for (const auto& [name, value] : map) out[name] = value;
    return out;
}

std::string_view finding_name(Finding finding) {
    switch (finding) {
        case Finding::works:
            return "works";
        case Finding::weaker:
            return "weaker";
        case Finding::missing:
            break;
    }
    return "missing";
}

}  // namespace

Result<SandboxSpec> read_spec(const json::object& body, SandboxSpec spec) {
    ObjectReader in(body);
    in.text("name", spec.name, 63);
    in.text("agent", spec.agent, 128);
    in.choice("isolation", spec.isolation, kIsolations);
    in.object("root", [&](ObjectReader& root) { read_root(root, spec.root); });
    in.object("limits", [&](ObjectReader& limits) { read_limits(limits, spec.limits); });
    in.object("network",
              [&](ObjectReader& network) { read_network_fields(network, spec.network); });
    in.text_map("environment", spec.environment, kListMax, kTextBytesMax);
    in.text_map("labels", spec.labels, kListMax, kTextBytesMax);
    in.text("snapshot", spec.snapshot, 64);
    in.texts("secrets", spec.secrets, kListMax, 128);
    in.text("policy", spec.policy, 128);
    DG_TRY(in.done());
    DG_TRY(check_spec(spec));
    return spec;
}

Result<NetworkPolicy> read_network(const json::object& body, NetworkMode mode) {
    NetworkPolicy network;
    network.mode = mode;
    ObjectReader in(body);
    read_network_fields(in, network);
    DG_TRY(in.done());
    return network;
}

Result<ExecSpec> read_exec(const json::object& body,
                           const std::function<void(ObjectReader&)>& rest) {
    ExecSpec spec;
    std::string code, language = "python";
    ObjectReader in(body);
    in.texts("argv", spec.argv, 4096, 128 * 1024);
    in.text("code", code, kCodeBytesMax);
    in.choice<std::string>("language", language,
                           {{"python", "python"}, {"node", "node"}, {"bash", "bash"}});
    in.text_map("environment", spec.environment, kListMax, 128 * 1024);
    in.text("working_directory", spec.working_directory, kTextBytesMax);
    in.text("stdin", spec.stdin_text, 64 << 20);
    in.flag("stdin_open", spec.stdin_open);
    in.flag("tty", spec.tty);
    in.integer<std::uint16_t>("tty_columns", spec.tty_columns, 1, 10'000);
    in.integer<std::uint16_t>("tty_rows", spec.tty_rows, 1, 10'000);
    in.milliseconds("wall_timeout_ms", spec.wall_timeout, kLongest);
    in.milliseconds("cpu_timeout_ms", spec.cpu_timeout, kLongest);
    in.integer<std::uint64_t>("output_bytes_max", spec.output_bytes_max, 0, 1ull << 30);
    if (in.has("argv") == in.has("code")) {
        in.fault("argv", "or 'code' is what to run; give one of the two");
    }
    rest(in);
    DG_TRY(in.done());
    if (spec.argv.empty()) spec.argv = interpreter_of(language, std::move(code));
    DG_TRY(check_exec(spec));
    return spec;
}

json::object to_json(const Limits& limits) {
    return {{"cpus", limits.cpus},
            {"memory_bytes", limits.memory_bytes},
            {"processes_max", limits.processes_max},
            {"workspace_bytes", limits.workspace_bytes},
            {"tmp_bytes", limits.tmp_bytes},
            {"inodes_max", limits.inodes_max},
            {"open_files_max", limits.open_files_max},
            {"lifetime_ms", limits.lifetime.count()},
            {"idle_timeout_ms", limits.idle_timeout.count()}};
}

json::object to_json(const NetworkPolicy& network) {
    return {{"mode", network_mode_name(network.mode)},
            {"allow_domains", to_json(network.allow_domains)},
            {"allow_cidrs", to_json(network.allow_cidrs)},
            {"calls_max", network.calls_max},
            {"bytes_max", network.bytes_max}};
}

json::object to_json(const SandboxInfo& info) {
    const SandboxSpec& spec = info.spec;
    json::object root = {{"kind", word_of(kRootKinds, spec.root.kind)}};
    if (!spec.root.path.empty()) root["path"] = spec.root.path;
    return {{"id", info.id},
            {"object", "sandbox"},
            {"state", sandbox_state_name(info.state)},
            {"created_at", info.created_unix_ns / 1'000'000'000},
            {"name", spec.name},
            {"tenant", spec.tenant},
            {"agent", spec.agent},
            {"isolation", isolation_name(spec.isolation)},
            {"backend", info.backend},
            {"enforced_by", to_json(info.enforced_by)},
            {"root", std::move(root)},
            {"limits", to_json(spec.limits)},
            {"network", to_json(spec.network)},
            {"environment", to_json(spec.environment)},
            {"labels", to_json(spec.labels)},
            {"snapshot", spec.snapshot},
            {"secrets", to_json(spec.secrets)},
            {"policy", spec.policy},
            {"usage", json::object{{"memory_bytes", info.memory_bytes},
                                   {"cpu_us", info.cpu.count()},
                                   {"execs", info.execs},
                                   {"running", info.running},
                                   {"network_calls", info.network.calls},
                                   {"network_refused", info.network.refused},
                                   {"network_bytes_out", info.network.bytes_out},
                                   {"network_bytes_in", info.network.bytes_in}}}};
}

json::object to_json(const SnapshotInfo& info) {
    return {{"id", info.id},
            {"object", "snapshot"},
            {"from", info.from},
            {"name", info.name},
            {"created_at", info.created_unix_ns / 1'000'000'000},
            {"bytes", info.bytes},
            {"entries", info.entries},
            {"consistency", info.consistency},
            {"persist", info.persist}};
}

json::object to_json(const ImageInfo& info) {
    return {{"id", "sha256:" + info.digest}, {"object", "sandbox_image"}, {"name", info.name},
            {"bytes", info.bytes},           {"entries", info.entries},   {"dropped", info.dropped},
            {"used_at", info.used_unix_s}};
}

json::object to_json(const ExecResult& result) {
    return {{"reason", end_reason_name(result.reason)},
            {"exit_code", result.exit_code},
            {"signal", result.signal},
            {"output_bytes", result.output_bytes},
            {"output_dropped", result.output_dropped},
            {"wall_us", result.wall.count()},
            {"cpu_us", result.cpu.count()},
            {"peak_memory_bytes", result.peak_memory_bytes}};
}

json::object to_json(const HostReport& report) {
    json::array facts, levels;
    for (const HostFact& fact : report.facts) {
        facts.push_back(json::object{{"primitive", fact.primitive},
                                     {"finding", finding_name(fact.finding)},
                                     {"detail", fact.detail},
                                     {"consequence", fact.consequence}});
    }
    for (const Isolation level : report.levels)
        levels.push_back(json::string(isolation_name(level)));
    return {
        {"as_root", report.as_root}, {"levels", std::move(levels)}, {"facts", std::move(facts)}};
}

}  // namespace sphere
