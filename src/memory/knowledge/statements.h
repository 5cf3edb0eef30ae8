#pragma once
// What a document says of things in figures, dates and names, by rules: only what is said plainly
// of something that has a name. Precision goes before recall: nothing from guesses, bounds,
// conditions, questions and comparisons, nothing of "it" and "the device".

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "memory/knowledge/knowledge.h"
#include "memory/knowledge/parsed.h"

namespace memory::knowledge {

struct StatementRow {
    std::string base, document;
    std::string subject, attribute;  ///< as written, for people
    /// Folded subject, attribute and whatever restricts the statement: equal keys speak of one
    /// thing.
    std::string key;
    Statement::Kind kind = Statement::Kind::number;
    std::string value;   ///< as written
    std::string normal;  ///< quantities.h
    std::string quote;
    std::vector<std::string> section;
    std::string place;
    std::uint32_t page = 0;
    std::uint64_t begin = 0, end = 0;
};

/// In order of the text; `base` and `document` are left empty. Linear in time; any text.
std::vector<StatementRow> find_statements(const Parsed& parsed);

/// Groups of one key and kind whose values do not agree, from two documents at least. `rows` in any
/// order; the result does not depend on it.
std::vector<std::vector<StatementRow>> find_conflicts(std::vector<StatementRow> rows);

}  // namespace memory::knowledge
