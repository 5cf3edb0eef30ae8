#pragma once
// Every field of every request body, once: the parser checks requests against this table and
// /openapi.json is printed from it, so the document cannot promise what the parser refuses.

#include <cstdint>
#include <span>
#include <string_view>

#include "base/json/json.h"

namespace gate {

/// JSON types a field accepts, as bits.
enum JsonType : std::uint8_t {
    kBoolean = 1,
    kInteger = 2,
    kNumber = 4,  // integers included
    kString = 8,
    kArray = 16,
    kObject = 32,
};

enum class Use : std::uint8_t {
    required,
    optional,
    ignored,  ///< accepted with any value and without effect: OpenAI bookkeeping
    refused,  ///< known and not supported: an error unless null; `text` says what to do
};

struct FieldSpec {
    std::string_view name;
    std::uint8_t types = 0;  ///< JsonType bits; 0 = any
    Use use = Use::optional;
    double minimum = 0, maximum = 0;  ///< numbers; equal = no bounds
    std::string_view text;            ///< for people: meaning, unit, default
};

std::span<const FieldSpec> chat_fields();
std::span<const FieldSpec> completion_fields();
std::span<const FieldSpec> responses_fields();
std::span<const FieldSpec> embedding_fields();
std::span<const FieldSpec> rerank_fields();
std::span<const FieldSpec> score_fields();
std::span<const FieldSpec> cache_fields();
std::span<const FieldSpec> tokenize_fields();
std::span<const FieldSpec> detokenize_fields();

/// "a string", "an integer or an array": for messages.
std::string describe_types(std::uint8_t types);
std::uint8_t type_of(const base::json::value& value);

/// Checks every field of `body` against `fields`; null counts as absent. The first fault in the
/// table's order is reported, unknown fields last. Error codes as request_error() reads them.
base::Result<void> check_fields(const base::json::object& body, std::span<const FieldSpec> fields);

}  // namespace gate
