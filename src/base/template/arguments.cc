// Reading the arguments of built-in functions.

#include "base/template/machine.h"

namespace base::tmpl {

Result<std::string_view> text_argument(const Arguments& arguments, std::size_t place,
                                       std::string_view name, std::string_view function) {
    const Value* value = arguments.find(place, name);
    if (value == nullptr) {
        return fail(Code::invalid_argument, "{} needs the argument \"{}\"", function, name);
    }
    if (is_undefined(*value)) return fail_undefined(*value);
    if (const auto text = as_text(*value)) return *text;
    return fail(Code::invalid_argument, "{} needs a string as \"{}\", found a {}", function, name,
                kind_name(*value));
}

Result<std::int64_t> integer_argument(const Arguments& arguments, std::size_t place,
                                      std::string_view name, std::int64_t fallback) {
    const Value* value = arguments.find(place, name);
    if (value == nullptr || is_none(*value)) return fallback;
    if (const auto integer = as_integer(*value)) return *integer;
    return fail(Code::invalid_argument, "\"{}\" must be an integer, found a {}", name,
                kind_name(*value));
}

bool flag_argument(const Arguments& arguments, std::size_t place, std::string_view name,
                   bool fallback) {
    const Value* value = arguments.find(place, name);
    return value == nullptr ? fallback : is_true(*value);
}

}  // namespace base::tmpl
