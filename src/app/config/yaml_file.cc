// The only file of app that includes yaml-cpp. Turns YAML into settings with their lines and its
// exceptions into Errors.
#include <yaml-cpp/yaml.h>

#include <set>

#include "app/config/fields.h"
#include "app/config/load.h"
#include "base/core/nearest.h"

namespace app {
namespace {

using base::Code;
using base::fail_on;
using base::Result;

std::string place(const std::string& file, const YAML::Mark& mark) {
    return mark.is_null() ? file : fmt::format("{}:{}", file, mark.line + 1);
}

std::vector<std::string_view> section_names() {
    std::vector<std::string_view> names;
    for (const Field& field : config_fields()) {
        if (names.empty() || names.back() != field.section) names.push_back(field.section);
    }
    return names;
}

std::vector<std::string_view> field_names(std::string_view section) {
    std::vector<std::string_view> names;
    for (const Field& field : config_fields()) {
        if (field.section == section) names.push_back(field.name);
    }
    return names;
}

Result<Setting> read_field(const std::string& file, const std::string& section,
                           const YAML::Node& key, const YAML::Node& value) {
    const std::string at = place(file, key.Mark());
    if (!key.IsScalar()) {
        return fail_on(at, Code::invalid_argument, "{}: a key in {} is not a word", at, section);
    }
    const std::string& name = key.Scalar();
    const std::string path = section + "." + name;
    if (find_field(path) == nullptr) {
        return fail_on(at, Code::invalid_argument, "{}: unknown field {}{}", at, path,
                       base::did_you_mean(name, field_names(section)));
    }
    if (!value.IsScalar() && !value.IsNull()) {
        return fail_on(at, Code::invalid_argument, "{}: {} is a {}, expected one value", at, path,
                       value.IsMap() ? "map" : "list");
    }
    return Setting{path, value.IsNull() ? "" : value.Scalar(), at};
}

Result<void> read_section(const std::string& file, const YAML::Node& key, const YAML::Node& body,
                          std::vector<Setting>& out) {
    const std::string at = place(file, key.Mark());
    if (!key.IsScalar()) {
        return fail_on(at, Code::invalid_argument, "{}: a section name is not a word", at);
    }
    const std::string& section = key.Scalar();
    const auto known = section_names();
    if (std::find(known.begin(), known.end(), section) == known.end()) {
        return fail_on(at, Code::invalid_argument, "{}: unknown section {}{}", at, section,
                       base::did_you_mean(section, known));
    }
    if (body.IsNull()) return {};
    if (!body.IsMap()) {
        return fail_on(
            at, Code::invalid_argument,
            "{}: section {} holds a single value or a list, expected 'field: value' lines", at,
            section);
    }
    for (const auto& entry : body) {
        out.push_back(DG_TRY(read_field(file, section, entry.first, entry.second)));
    }
    return {};
}

/// yaml-cpp keeps repeated keys; the second would win in silence.
Result<void> refuse_repeats(const std::vector<Setting>& settings) {
    std::map<std::string, std::string> seen;
    for (const Setting& setting : settings) {
        const auto [first, fresh] = seen.emplace(setting.path, setting.source);
        if (fresh) continue;
        return fail_on(setting.source, Code::invalid_argument, "{}: {} was already set at {}",
                       setting.source, setting.path, first->second);
    }
    return {};
}

}  // namespace

Result<std::vector<Setting>> parse_config_yaml(std::string_view text, const std::string& file) {
    std::vector<Setting> settings;
    try {
        const YAML::Node root = YAML::Load(std::string(text));
        if (root.IsNull()) return settings;
        if (!root.IsMap()) {
            return fail_on(file, Code::invalid_argument,
                           "{}: expected sections such as 'server:', found a {}", file,
                           root.IsSequence() ? "list" : "single value");
        }
        for (const auto& entry : root) {
            DG_TRY(read_section(file, entry.first, entry.second, settings));
        }
    } catch (const YAML::Exception& error) {
        const std::string at = place(file, error.mark);
        return fail_on(at, Code::invalid_argument, "{}: not YAML: {}", at, error.msg);
    }
    DG_TRY(refuse_repeats(settings));
    return settings;
}

}  // namespace app
