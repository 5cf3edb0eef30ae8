#pragma once
// Reads a JSON object from a stranger into a struct, field by field: types, ranges and unknown
// fields are checked, and the first fault is told with its path.
//
//   ObjectReader in(object);
//   in.integer("pids", spec.pids, 1, 4096);
//   in.object("network", [&](ObjectReader& network) { network.text("mode", mode, 32); });
//   DG_TRY(in.done());
//
// Fields that are absent or null leave their target as it is.

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json/json.h"

namespace base {

class ObjectReader {
public:
    /// `path` stands before the fields' names in errors: "" or "limits". Both outlive the reader.
    explicit ObjectReader(const json::object& object, std::string path = "");
    ObjectReader(const ObjectReader&) = delete;
    ObjectReader& operator=(const ObjectReader&) = delete;

    /// UTF-8, at most `bytes_max`.
    void text(std::string_view name, std::string& out, std::size_t bytes_max);
    void number(std::string_view name, double& out, double min, double max);
    void flag(std::string_view name, bool& out);
    template <std::integral T>
    void integer(std::string_view name, T& out, T min, T max) {
        const auto read = whole_number(name, static_cast<double>(min), static_cast<double>(max));
        if (read) out = static_cast<T>(*read);
    }
    /// A whole number of milliseconds, 0 to `max`.
    void milliseconds(std::string_view name, std::chrono::milliseconds& out,
                      std::chrono::milliseconds max);
    void texts(std::string_view name, std::vector<std::string>& out, std::size_t count_max,
               std::size_t bytes_max);
    /// An object of texts.
    void text_map(std::string_view name, std::map<std::string, std::string>& out,
                  std::size_t count_max, std::size_t bytes_max);
    template <class Value>
    using Choices = std::span<const std::pair<std::string_view, Value>>;
    template <class Value, std::size_t N>
    void choice(std::string_view name, Value& out,
                const std::array<std::pair<std::string_view, Value>, N>& choices) {
        choose(name, out, Choices<Value>(choices));
    }
    template <class Value>
    void choice(std::string_view name, Value& out,
                std::initializer_list<std::pair<std::string_view, Value>> choices) {
        choose(name, out, Choices<Value>(choices.begin(), choices.size()));
    }
    /// An object read by `read` with a reader of its own; not called when the field is absent.
    void object(std::string_view name, const std::function<void(ObjectReader&)>& read);

    bool has(std::string_view name) { return find(name) != nullptr; }
    /// For what the caller reads itself: null when the field is absent or null.
    const json::value* value(std::string_view name) { return find(name); }
    /// For what the caller finds wrong itself: "'limits.pids' <what>".
    void fault(std::string_view name, std::string_view what);

    /// The first fault, in the order the fields were read; then any field nobody read.
    /// Errors: invalid_argument, the field's path as subject.
    Result<void> done();

private:
    template <class Value>
    void choose(std::string_view name, Value& out, Choices<Value> choices) {
        std::string chosen, known;
        if (find(name) == nullptr) return;
        text(name, chosen, 256);
        for (const auto& [word, value] : choices) {
            if (word == chosen) {
                out = value;
                return;
            }
            known += (known.empty() ? "" : ", ") + std::string(word);
        }
        fault(name, "must be one of " + known);
    }
    const json::value* find(std::string_view name);
    std::optional<double> whole_number(std::string_view name, double min, double max);
    std::string path_of(std::string_view name) const;

    const json::object& object_;
    std::string path_;
    std::set<std::string, std::less<>> known_;
    std::optional<Error> fault_;
};

}  // namespace base
