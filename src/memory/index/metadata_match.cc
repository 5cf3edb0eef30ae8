#include "memory/index/metadata_match.h"

#include <algorithm>
#include <compare>
#include <optional>
#include <utility>

namespace memory::index {
namespace {

using base::json::value;

template <class T>
std::partial_ordering compare(T a, T b) {
    return a <=> b;
}

/// Exact between integers of any sign; otherwise as doubles.
std::partial_ordering compare_numbers(const value& a, const value& b) {
    if (a.is_double() || b.is_double())
        return compare(a.to_number<double>(), b.to_number<double>());
    if (a.is_int64() && b.is_int64()) return compare(a.get_int64(), b.get_int64());
    if (a.is_uint64() && b.is_uint64()) return compare(a.get_uint64(), b.get_uint64());
    if (a.is_int64()) {
        return std::cmp_less(a.get_int64(), b.get_uint64())    ? std::partial_ordering::less
               : std::cmp_equal(a.get_int64(), b.get_uint64()) ? std::partial_ordering::equivalent
                                                               : std::partial_ordering::greater;
    }
    return 0 <=> compare_numbers(b, a);
}

std::partial_ordering compare_values(const value& a, const value& b) {
    if (a.is_number() && b.is_number()) return compare_numbers(a, b);
    if (a.is_string() && b.is_string()) {
        const std::string_view left = a.get_string(), right = b.get_string();
        return left <=> right;
    }
    return std::partial_ordering::unordered;
}

bool contains(const value& whole, const value& part) {
    if (whole.is_array()) {
        return std::ranges::any_of(whole.get_array(),
                                   [&](const value& element) { return is_equal(element, part); });
    }
    if (!whole.is_string() || !part.is_string()) return false;
    return std::string_view(whole.get_string()).find(part.get_string()) != std::string_view::npos;
}

}  // namespace

const value* find_path(const base::json::object& metadata, std::string_view path) {
    const base::json::object* object = &metadata;
    for (;;) {
        const std::size_t dot = path.find('.');
        const auto found = object->find(path.substr(0, dot));
        if (found == object->end()) return nullptr;
        if (dot == std::string_view::npos) return &found->value();
        object = found->value().if_object();
        if (object == nullptr) return nullptr;
        path.remove_prefix(dot + 1);
    }
}

bool is_equal(const value& a, const value& b) {
    if (a.is_bool() && b.is_bool()) return a.get_bool() == b.get_bool();
    if (a.is_null() && b.is_null()) return true;
    return compare_values(a, b) == 0;
}

bool matches_value(const MetadataExpression& leaf, const value& found) {
    using Op = MetadataExpression::Op;
    switch (leaf.op) {
        case Op::exists:
            return true;
        case Op::one_of:
            return std::ranges::any_of(leaf.values,
                                       [&](const value& v) { return is_equal(found, v); });
        default:
            break;
    }
    if (leaf.values.empty()) return false;
    const value& other = leaf.values.front();
    switch (leaf.op) {
        case Op::equal:
            return is_equal(found, other);
        case Op::less:
            return compare_values(found, other) < 0;
        case Op::less_equal:
            return compare_values(found, other) <= 0;
        case Op::greater:
            return compare_values(found, other) > 0;
        case Op::greater_equal:
            return compare_values(found, other) >= 0;
        case Op::contains:
            return contains(found, other);
        default:
            return false;
    }
}

bool matches_metadata(const MetadataExpression& expression, const base::json::object& metadata) {
    using Op = MetadataExpression::Op;
    const auto child = [&](const MetadataExpression& e) { return matches_metadata(e, metadata); };
    switch (expression.op) {
        case Op::all:
            return std::ranges::all_of(expression.children, child);
        case Op::any:
            return std::ranges::any_of(expression.children, child);
        case Op::none:
            return std::ranges::none_of(expression.children, child);
        default:
            break;
    }
    const value* found = find_path(metadata, expression.field);
    return found != nullptr && matches_value(expression, *found);
}

}  // namespace memory::index
