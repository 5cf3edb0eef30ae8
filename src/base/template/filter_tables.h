#pragma once
// The two tables of filters by name. Internal to this folder.

#include <span>

#include "base/template/machine.h"

namespace base::tmpl {

struct NamedFilter {
    std::string_view name;
    FilterFunction function;
};

std::span<const NamedFilter> value_filters();
std::span<const NamedFilter> sequence_filters();

}  // namespace base::tmpl
