#pragma once
// Typed reads from a JSON object of a model folder, with errors that name file and field. A null
// counts as absent: published configurations use both.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"

namespace engine {

/// Refers to `object` and `path`, which outlive it.
class JsonFields {
public:
    JsonFields(const base::json::object& object, const std::string& path)
        : object_(object), path_(path) {}

    /// Null when absent.
    const base::json::value* find(std::string_view key) const;
    bool has(std::string_view key) const { return find(key) != nullptr; }
    const std::string& path() const { return path_; }

    // Missing: not_found without a fallback. Wrong type or range: data_loss.
    base::Result<std::uint32_t> u32(std::string_view key) const;
    base::Result<std::uint32_t> u32_or(std::string_view key, std::uint32_t fallback) const;
    base::Result<float> f32(std::string_view key) const;
    base::Result<float> f32_or(std::string_view key, float fallback) const;
    base::Result<bool> bool_or(std::string_view key, bool fallback) const;
    base::Result<std::string> string(std::string_view key) const;
    base::Result<std::string> string_or(std::string_view key, std::string fallback) const;
    base::Result<std::vector<float>> f32s(std::string_view key) const;
    /// The object under `key`. Errors: as above.
    base::Result<const base::json::object*> object(std::string_view key) const;

private:
    std::unexpected<base::Error> missing(std::string_view key) const;
    std::unexpected<base::Error> wrong(std::string_view key, std::string_view expected) const;

    const base::json::object& object_;
    const std::string& path_;
};

/// A JSON number that is a count below 2^32, or nothing.
std::optional<std::uint32_t> as_u32(const base::json::value& value);

/// Parses a file whose top is an object; the value owns it. Errors: not_found, data_loss.
base::Result<base::json::value> parse_object_file(const std::string& path);

}  // namespace engine
