#pragma once
// Structured logs: a message for people plus fields for programs. Text on a terminal, JSON lines
// otherwise. spdlog lives behind this header.

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/core/result.h"

namespace base::log {

enum class Level : std::uint8_t { debug, info, warn, error, off };

std::string_view level_name(Level level);
/// Errors: invalid_argument naming the five levels.
Result<Level> parse_level(std::string_view name);

/// `key=value` of one line. Views live for the call only. Keep secrets out of values.
struct Field {
    using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool>;

    Field(std::string_view k, std::string_view v) : key(k), value(v) {}
    Field(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
    Field(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
    Field(std::string_view k, bool v) : key(k), value(v) {}
    Field(std::string_view k, double v) : key(k), value(v) {}
    template <std::signed_integral T>
    Field(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}
    template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>) Field(std::string_view k, T v)
        : key(k), value(static_cast<std::uint64_t>(v)) {}

    std::string_view key;
    Value value;
};

enum class Format : std::uint8_t { automatic, text, json };

struct Options {
    Level level = Level::info;
    Format format = Format::automatic;  ///< text when stderr is a terminal
    std::string file;                   ///< empty: stderr
    /// Takes each finished line instead of stderr or a file; called under the logger's lock.
    std::function<void(std::string_view line)> sink;
    /// What is written in place of a finished line: without what must not be in a log. Thread-safe.
    std::function<std::string(std::string_view line)> scrub;
};

/// Thread-safe. Passed by reference from app; there is no global one.
class Logger {
public:
    /// Errors: not_found or permission_denied naming the file.
    static Result<std::unique_ptr<Logger>> create(Options options);
    /// One that drops everything, for tests and tools.
    static Logger& none();
    ~Logger();
    Logger(const Logger&) = delete;
    Logger& operator=(const Logger&) = delete;

    bool enabled(Level level) const;
    void write(Level level, std::string_view message, std::span<const Field> fields,
               std::string_view trace_id = {}) const;

    using Fields = std::initializer_list<Field>;
    void debug(std::string_view message, Fields fields = {}, std::string_view trace = {}) const;
    void info(std::string_view message, Fields fields = {}, std::string_view trace = {}) const;
    void warn(std::string_view message, Fields fields = {}, std::string_view trace = {}) const;
    void error(std::string_view message, Fields fields = {}, std::string_view trace = {}) const;

    void flush() const;

private:
    struct Impl;
    explicit Logger(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace base::log
