#include "app/config/print.h"

#include <fmt/format.h>

#include "app/config/fields.h"
#include "base/core/url_password.h"

namespace app {
namespace {

namespace json = base::json;

std::string shown(const Config& config, const Field& field) {
    const std::string text = field_text(config, field);
    return field.secret && !text.empty() ? "***" : base::without_password(text);
}

json::value json_value(const Config& config, const Field& field) {
    Config copy = config;
    if (std::holds_alternative<std::string*>(field.ref(copy))) {
        return json::value(shown(config, field));
    }
    return std::visit([](auto* value) { return json::value(*value); }, field.ref(copy));
}

/// Quoted when plain YAML would read it as something else than this text.
std::string yaml_scalar(const Config& config, const Field& field) {
    Config copy = config;
    const std::string text = shown(config, field);
    if (!std::holds_alternative<std::string*>(field.ref(copy))) return text;
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        if (c == '\n') {
            quoted += "\\n";
        } else {
            quoted += c;
        }
    }
    return quoted + "\"";
}

}  // namespace

json::object config_values(const Config& config) {
    json::object sections;
    for (const Field& field : config_fields()) {
        json::object& section = sections[field.section].is_object()
                                    ? sections[field.section].get_object()
                                    : sections[field.section].emplace_object();
        section[field.name] = json_value(config, field);
    }
    return sections;
}

std::string config_as_yaml(const LoadedConfig& loaded) {
    std::string out = loaded.file.empty() ? "# no config file was found\n"
                                          : fmt::format("# file: {}\n", loaded.file);
    std::string_view section;
    for (const Field& field : config_fields()) {
        if (field.section != section) {
            section = field.section;
            out += fmt::format("{}:\n", section);
        }
        const std::string line =
            fmt::format("  {}: {}", field.name, yaml_scalar(loaded.config, field));
        out += fmt::format("{:<44} # {}\n", line, loaded.origin(field.path()));
    }
    return out;
}

std::string config_values_json(const Config& config) {
    return base::to_text(config_values(config));
}

std::string config_as_json(const LoadedConfig& loaded) {
    json::object origins;
    for (const Field& field : config_fields()) origins[field.path()] = loaded.origin(field.path());
    json::value file;
    if (!loaded.file.empty()) file = loaded.file;
    return base::to_text(json::object{
        {"file", file}, {"config", config_values(loaded.config)}, {"origins", std::move(origins)}});
}

std::string config_schema_json() {
    const Config defaults;
    json::array fields;
    for (const Field& field : config_fields()) {
        json::object entry{{"section", field.section},
                           {"name", field.name},
                           {"kind", kind_text(field)},
                           {"range", range_text(field)},
                           {"default", json_value(defaults, field)},
                           {"flag", field.flag()},
                           {"alias", field.alias},
                           {"environment", field.environment()},
                           {"help", field.help}};
        if (!field.choices.empty()) {
            json::array choices;
            for (const std::string_view choice : field.choices) choices.emplace_back(choice);
            entry["choices"] = std::move(choices);
        } else if (field.min != 0 || field.max != 0) {
            entry["min"] = field.min;
            entry["max"] = field.max;
        }
        fields.push_back(std::move(entry));
    }
    return base::to_text(fields);
}

std::string config_template_yaml() {
    const Config defaults;
    std::string out =
        "# Dougong's configuration. Every field is optional; what is commented out has the value\n"
        "# shown. Flags (--section.field) and environment variables (DOUGONG_SECTION_FIELD) go\n"
        "# before this file. `dougong config` prints what is in force and why.\n";
    std::string_view section;
    for (const Field& field : config_fields()) {
        if (field.section != section) {
            section = field.section;
            out += fmt::format("\n{}:\n", section);
        }
        const std::string range = range_text(field);
        out += fmt::format("  # {}{}\n", field.help,
                           range.empty() ? "" : fmt::format(" ({} {})", kind_text(field), range));
        out += fmt::format("  # {}: {}\n", field.name, yaml_scalar(defaults, field));
    }
    return out;
}

}  // namespace app
