#pragma once
// The effective configuration and its schema as text: `dougong config`.

#include <string>

#include "app/config/load.h"
#include "base/json/json.h"

namespace app {

/// YAML that load_config reads back, each value with a comment saying where it came from.
std::string config_as_yaml(const LoadedConfig& loaded);

/// {"file": ..., "config": {section: {field: value}}, "origins": {"section.field": ...}}
std::string config_as_json(const LoadedConfig& loaded);

/// {section: {field: value}} with real JSON types; secrets are replaced by "***".
base::json::object config_values(const Config& config);
std::string config_values_json(const Config& config);

/// A JSON array: one object per field with section, name, kind, unit, range, default, flags,
/// environment variable and help.
std::string config_schema_json();

/// A commented file with every field at its default, as shipped in packaging and examples.
std::string config_template_yaml();

}  // namespace app
