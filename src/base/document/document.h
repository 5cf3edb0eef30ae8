#pragma once
// A YAML or JSON text as a tree that remembers where each value stands, so that what is wrong with
// it can be pointed at.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"

namespace base {

struct Node {
    enum class Kind : std::uint8_t { null, scalar, list, map };
    Kind kind = Kind::null;
    std::string text;     ///< of a scalar
    bool quoted = false;  ///< a scalar that is text whatever it looks like
    std::uint32_t line = 1, column = 1;
    std::uint32_t name_line = 1, name_column = 1;       ///< of a member: where its name stands
    std::vector<Node> items;                            ///< of a list
    std::vector<std::pair<std::string, Node>> members;  ///< of a map, no name twice

    const Node* find(std::string_view name) const;
};

/// One thing that is wrong with a document.
struct Fault {
    std::uint32_t line = 1, column = 1;
    std::string path;     ///< "steps[2].retry.attempts"; empty: the whole
    std::string message;  ///< without the place
    bool operator==(const Fault&) const = default;
};

/// JSON when `file` ends in .json (RFC 8259 is then held strictly), else YAML. No anchors, one
/// document, at most 1 MiB, 50,000 values and 64 levels.
/// Errors: invalid_argument; the subject is "file:line:column", with which the message begins.
Result<Node> parse_document(std::string_view text, const std::string& file);

/// "file:line:column"
std::string place(const std::string& file, const Node& node);

/// What the tree means: null, true, false and numbers as JSON writes them, everything else text.
json::value to_json(const Node& node);
/// Whole numbers and decimals as YAML's core schema and JSON write them; nothing else.
std::optional<double> number_of(const Node& node);
std::optional<bool> flag_of(const Node& node);

}  // namespace base
