#include "app/config/load.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "app/config/fields.h"
#include "base/core/nearest.h"
#include "base/core/url_password.h"

extern char** environ;  // NOLINT: POSIX gives it no header in strict mode

namespace app {
namespace {

using base::Code;
using base::fail_on;
using base::Result;

Result<std::string> read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        return fail_on(path, Code::not_found,
                       "config file {}: {}; check the path given to --config", path,
                       std::strerror(errno));
    }
    std::ostringstream text;
    text << in.rdbuf();
    return std::move(text).str();
}

Result<void> apply(LoadedConfig& loaded, const Setting& setting) {
    const Field* field = find_field(setting.path);
    if (field == nullptr) {
        return fail_on(setting.path, Code::invalid_argument, "{}: there is no field {}",
                       setting.source, setting.path);
    }
    DG_TRY(set_field(loaded.config, *field, setting.text, setting.source));
    loaded.origins.insert_or_assign(setting.path, setting.source);
    return {};
}

Result<void> apply_file(LoadedConfig& loaded, const std::string& named,
                        const Environment& environment) {
    std::string path = named;
    if (path.empty()) path = variable(environment, "DOUGONG_CONFIG").value_or("");
    if (path.empty()) {
        for (const std::string& candidate : config_file_candidates(environment)) {
            if (::access(candidate.c_str(), R_OK) == 0) {
                path = candidate;
                break;
            }
        }
    }
    if (path.empty()) return {};
    const std::string text = DG_TRY(read_text(path));
    for (const Setting& setting : DG_TRY(parse_config_yaml(text, path))) {
        DG_TRY(apply(loaded, setting));
    }
    loaded.file = path;
    return {};
}

Result<void> apply_environment(LoadedConfig& loaded, const Environment& environment) {
    for (const Field& field : config_fields()) {
        const std::string name = field.environment();
        const auto found = environment.find(name);
        if (found == environment.end()) continue;
        DG_TRY(apply(loaded, Setting{field.path(), found->second, name}));
    }
    return {};
}

/// Only near misses: clusters set DOUGONG_..._SERVICE_PORT and the like for their own reasons.
std::vector<std::string> misspelt_variables(const Environment& environment) {
    std::vector<std::string> names = {"DOUGONG_CONFIG"};
    for (const Field& field : config_fields()) names.push_back(field.environment());
    const std::vector<std::string_view> known(names.begin(), names.end());
    std::vector<std::string> warnings;
    for (const auto& [name, value] : environment) {
        if (!name.starts_with("DOUGONG_")) continue;
        const auto guess = base::nearest(name, known);
        if (!guess || *guess == name || base::edit_distance(name, *guess) > 3) continue;
        warnings.push_back(
            fmt::format("{} is not a variable of dougong; did you mean {}?", name, *guess));
    }
    return warnings;
}

/// What holds between fields, or needs more than a range.
Result<void> check_whole(const LoadedConfig& loaded) {
    const Config& config = loaded.config;
    const auto require_http = [&](const std::string& path, const std::string& url) -> Result<void> {
        if (url.empty() || url.starts_with("http://") || url.starts_with("https://")) return {};
        return fail_on(path, Code::invalid_argument,
                       "{}: {} is '{}', expected a URL that begins with http:// or https://",
                       loaded.origin(path), path, url);
    };
    DG_TRY(require_http("trace.otlp_endpoint", config.trace.otlp_endpoint));
    DG_TRY(require_http("models.hub_url", config.models.hub_url));
    const std::string& memories = config.memory.dir;
    if (memories.find("://") != std::string::npos && !memories.starts_with("postgresql://") &&
        !memories.starts_with("postgres://")) {
        return fail_on("memory.dir", Code::invalid_argument,
                       "{}: memory.dir is '{}', expected a folder, or a URL that begins with "
                       "postgresql://",
                       loaded.origin("memory.dir"), base::without_password(memories));
    }
    const std::string& sessions = config.memory.sessions;
    if (!sessions.empty() && !sessions.starts_with("redis://") &&
        !sessions.starts_with("redis+unix://")) {
        return fail_on("memory.sessions", Code::invalid_argument,
                       "{}: memory.sessions is '{}', expected a URL that begins with redis:// or "
                       "redis+unix://",
                       loaded.origin("memory.sessions"), base::without_password(sessions));
    }
    const bool shared = config.flow.store == "postgresql";
    const std::string& runs = config.flow.postgresql;
    if (shared && !runs.starts_with("postgresql://") && !runs.starts_with("postgres://")) {
        return fail_on("flow.postgresql", Code::invalid_argument,
                       "{}: flow.store is postgresql and flow.postgresql is '{}', expected "
                       "postgresql://USER:PASSWORD@HOST/DATABASE?schema=NAME",
                       loaded.origin("flow.postgresql"), base::without_password(runs));
    }
    if (!shared && !runs.empty()) {
        return fail_on("flow.store", Code::invalid_argument,
                       "{}: flow.postgresql names a database and flow.store is {}; set flow.store "
                       "to postgresql, or leave the database out",
                       loaded.origin("flow.store"), config.flow.store);
    }
    if (config.server.host.empty()) {
        return fail_on("server.host", Code::invalid_argument,
                       "{}: server.host is empty, expected an address such as 127.0.0.1",
                       loaded.origin("server.host"));
    }
    if (config.models.model.empty()) {
        return fail_on("models.model", Code::invalid_argument,
                       "{}: models.model is empty, expected a name, a path or 'default'",
                       loaded.origin("models.model"));
    }
    return {};
}

}  // namespace

std::string LoadedConfig::origin(std::string_view path) const {
    const auto found = origins.find(path);
    return found == origins.end() ? "default" : found->second;
}

Result<LoadedConfig> load_config(const std::string& file, const Environment& environment,
                                 const std::vector<Setting>& flags) {
    LoadedConfig loaded;
    DG_TRY(apply_file(loaded, file, environment));
    DG_TRY(apply_environment(loaded, environment));
    for (const Setting& flag : flags) DG_TRY(apply(loaded, flag));
    DG_TRY(check_whole(loaded));
    loaded.warnings = misspelt_variables(environment);
    return loaded;
}

std::vector<std::string> config_file_candidates(const Environment& environment) {
    std::vector<std::string> paths;
    // Not the working directory: a folder that somebody sent must not reconfigure the server.
    if (const auto home = variable(environment, "XDG_CONFIG_HOME")) {
        paths.push_back(*home + "/dougong/dougong.yaml");
    } else if (const auto user = variable(environment, "HOME")) {
        paths.push_back(*user + "/.config/dougong/dougong.yaml");
    }
    paths.emplace_back("/etc/dougong/dougong.yaml");
    return paths;
}

Environment system_environment() {
    Environment environment;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos) continue;
        environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return environment;
}

std::optional<std::string> variable(const Environment& environment, std::string_view name) {
    const auto found = environment.find(name);
    if (found == environment.end() || found->second.empty()) return std::nullopt;
    return found->second;
}

}  // namespace app
