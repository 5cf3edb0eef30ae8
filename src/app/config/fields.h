#pragma once
// The table of configuration fields, and reading and writing one of them as text.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/config/config.h"
#include "base/core/result.h"

namespace app {

/// Where a field's value lives inside a Config.
using FieldRef = std::variant<std::string*, bool*, std::uint32_t*, std::uint64_t*, double*>;

struct Field {
    std::string_view section, name;
    std::string_view alias;   ///< short flags: "-p,--port"; empty when there are none
    std::string_view unit;    ///< "bytes" and "seconds" also accept suffixes; may be empty
    double min = 0, max = 0;  ///< for numbers; both ends included
    std::vector<std::string_view> choices;  ///< for words; empty: any text
    bool secret = false;                    ///< never printed
    FieldRef (*ref)(Config&);
    std::string_view help;

    std::string path() const;         ///< "server.port"
    std::string flag() const;         ///< "--server.port"
    std::string environment() const;  ///< "DOUGONG_SERVER_PORT"
    bool is_switch() const;           ///< a flag that needs no value
};

/// Every field, grouped by section, in the order they are printed.
std::span<const Field> config_fields();

/// The field called `section.name`, or null.
const Field* find_field(std::string_view path);

/// Parses `text` into the field. `source` names where the text came from and begins the message.
/// Errors: invalid_argument (not a number, out of range: says the range; not one of the choices).
base::Result<void> set_field(Config& config, const Field& field, std::string_view text,
                             std::string_view source);

/// The field's value as it would be written in the file ("" for an empty string).
std::string field_text(const Config& config, const Field& field);

/// "1 to 65535", "debug, info, warn or error", or "" when anything goes.
std::string range_text(const Field& field);

/// "number", "bytes", "seconds", "true or false", "text".
std::string_view kind_text(const Field& field);

}  // namespace app
