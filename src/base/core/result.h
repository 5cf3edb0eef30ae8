#pragma once
// Result<T>: a value or an Error. Ignoring one is a compile error.
//
//   Result<Checkpoint> load(Store& store, std::string_view name) {
//       const std::string bytes = DG_TRY(store.read(name));      // returns the error upward
//       if (bytes.empty()) return fail(Code::data_loss, "checkpoint {} is empty", name);
//       return decode(bytes);
//   }

#include <expected>
#include <type_traits>
#include <utility>

#include "base/core/error.h"

namespace base {

template <class T>
struct [[nodiscard]] Result : std::expected<T, Error> {
    using value_type = T;
    using std::expected<T, Error>::expected;
};

template <>
struct [[nodiscard]] Result<void> : std::expected<void, Error> {
    using value_type = void;
    using std::expected<void, Error>::expected;
};

/// Builds the failing side of any Result: `return fail(Code::not_found, "model {} ...", name);`
template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(Code code, fmt::format_string<Args...> format,
                                          Args&&... args) {
    return std::unexpected<Error>(
        Error{code, fmt::format(format, std::forward<Args>(args)...), {}});
}

/// Like fail, naming the input at fault (a JSON path, a flag, a file).
template <class... Args>
[[nodiscard]] std::unexpected<Error> fail_on(std::string subject, Code code,
                                             fmt::format_string<Args...> format, Args&&... args) {
    return std::unexpected<Error>(
        Error{code, fmt::format(format, std::forward<Args>(args)...), std::move(subject)});
}

}  // namespace base

/// Unwraps a Result or returns its error from the enclosing function. Uses may nest.
#define DG_TRY(expression) DG_TRY_NAMED_(DG_TRY_CONCAT_(dg_try_result_, __COUNTER__), expression)
#define DG_TRY_CONCAT_(a, b) DG_TRY_CONCAT2_(a, b)
#define DG_TRY_CONCAT2_(a, b) a##b
#define DG_TRY_NAMED_(name, expression)                                     \
    __extension__({                                                         \
        auto name = (expression);                                           \
        if (!name) [[unlikely]]                                             \
            return std::unexpected<::base::Error>(std::move(name).error()); \
        *std::move(name);                                                   \
    })
