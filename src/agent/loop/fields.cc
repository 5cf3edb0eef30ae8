#include "agent/loop/fields.h"

namespace agent {

namespace json = base::json;

const json::value* at(const json::value& from, std::string_view pointer) {
    boost::system::error_code none;
    const json::value* found = from.find_pointer(pointer, none);
    return found != nullptr && !found->is_null() ? found : nullptr;
}

std::string text_at(const json::value& from, std::string_view pointer) {
    const json::value* found = at(from, pointer);
    return found != nullptr && found->is_string() ? std::string(found->get_string())
                                                  : std::string();
}

double number_at(const json::value& from, std::string_view pointer, double otherwise) {
    const json::value* found = at(from, pointer);
    return found != nullptr && found->is_number() ? found->to_number<double>() : otherwise;
}

std::uint64_t count_at(const json::value& from, std::string_view pointer, std::uint64_t otherwise) {
    constexpr double kMost = 9007199254740991.0;
    const double value = number_at(from, pointer, static_cast<double>(otherwise));
    return value > 0 ? static_cast<std::uint64_t>(std::min(value, kMost)) : 0;
}

bool flag_at(const json::value& from, std::string_view pointer) {
    const json::value* found = at(from, pointer);
    return found != nullptr && found->is_bool() && found->get_bool();
}

const json::array& list_at(const json::value& from, std::string_view pointer) {
    static const json::array kNone;
    const json::value* found = at(from, pointer);
    return found != nullptr && found->is_array() ? found->get_array() : kNone;
}

std::string as_text(const json::value& value) {
    return value.is_string() ? std::string(value.get_string()) : base::to_text(value);
}

std::string cut(std::string text, std::size_t bytes) {
    if (text.size() <= bytes) return text;
    const auto border = [&](std::size_t place) {
        while (place > 0 && (static_cast<unsigned char>(text[place]) & 0xc0) == 0x80) --place;
        return place;
    };
    const std::size_t head = border(bytes / 2), tail = border(text.size() - bytes / 2);
    return text.substr(0, head) + "\n[" + std::to_string(tail - head) + " bytes left out]\n" +
           text.substr(tail);
}

}  // namespace agent
