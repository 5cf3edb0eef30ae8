#pragma once
// Figures, dates and times of day as people write them, brought to one form.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "memory/knowledge/knowledge.h"

namespace memory::knowledge {

struct Quantity {
    Statement::Kind kind = Statement::Kind::number;
    std::string normal;   ///< for agree()
    std::string counted;  ///< the noun after a number without a unit, singular: "employee"
    std::size_t end = 0;  ///< bytes of the input that it takes
};

/// The quantity that `text` begins with: "3.5 GB", "$1.2 million", "12 employees", "3 May 2021",
/// "2021年5月3日", "9:30 pm", "3500万元". A year alone is a date where `year_is_date`. Nothing
/// for ranges and what a reader cannot be sure of (3/4/2021).
std::optional<Quantity> read_quantity(std::string_view text, bool year_is_date);

/// Whether two normal forms of one kind can both be true: equal, or one the rounded form of the
/// other, or a date less exact. Nothing when they measure different things.
std::optional<bool> agree(Statement::Kind kind, std::string_view a, std::string_view b);

}  // namespace memory::knowledge
