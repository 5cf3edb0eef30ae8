#pragma once
// Builds the one Config from its four sources. Precedence: flags > environment > file > default.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/config/config.h"
#include "base/core/result.h"

namespace app {

/// One value somebody wrote, and where: "dougong.yaml:7", "DOUGONG_SERVER_PORT" or "--port".
struct Setting {
    std::string path;  ///< "server.port"
    std::string text;
    std::string source;
};

struct LoadedConfig {
    Config config;
    /// By path; a field that is missing here has its default.
    std::map<std::string, std::string, std::less<>> origins;
    std::string file;                   ///< the YAML file that was read, or empty
    std::vector<std::string> warnings;  ///< for example an environment variable with a typing error

    std::string origin(std::string_view path) const;
};

/// The environment as a value, so that tests bring their own.
using Environment = std::map<std::string, std::string, std::less<>>;

/// Reads `section: {field: value}` from YAML text. `file` is for messages. Errors:
/// invalid_argument with file and line (not YAML, unknown section or field with the nearest known
/// one, a list or map where a value belongs, a field given twice).
base::Result<std::vector<Setting>> parse_config_yaml(std::string_view text,
                                                     const std::string& file);

/// Applies the sources in order of precedence and checks what only holds between fields.
/// `file`: a path that must exist, or empty to look in the usual places. Errors: not_found,
/// invalid_argument (names file and line, variable or flag).
base::Result<LoadedConfig> load_config(const std::string& file, const Environment& environment,
                                       const std::vector<Setting>& flags);

/// The config files looked for when none is named, first found wins.
std::vector<std::string> config_file_candidates(const Environment& environment);

/// This process's environment. The only place that reads it.
Environment system_environment();

/// The variable's value, or nothing when it is unset or empty.
std::optional<std::string> variable(const Environment& environment, std::string_view name);

}  // namespace app
