#include "base/log/log.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <iterator>
#include <mutex>

#include "base/json/json_text.h"

namespace base::log {
namespace {

constexpr std::array<std::string_view, 5> kLevels = {"debug", "info", "warn", "error", "off"};
constexpr std::array<std::string_view, 4> kColours = {"\x1b[2m", "\x1b[32m", "\x1b[33m",
                                                      "\x1b[31m"};
constexpr std::string_view kPlain = "\x1b[0m";

void append_timestamp(std::string& out, std::chrono::system_clock::time_point at) {
    const auto since = at.time_since_epoch();
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(since).count();
    const std::time_t seconds = micros / 1'000'000;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
                   utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                   utc.tm_sec, micros % 1'000'000);
}

/// A JSON string. Bytes that are no ASCII pass as they are; control characters are escaped, so that
/// one event is always one line.
bool is_bare_word(std::string_view text) {
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= 0x20 || byte == 0x7f || c == '"' || c == '=' || c == '\\') return false;
    }
    return !text.empty();
}

void append_value(std::string& out, const Field::Value& value, bool json) {
    std::visit(
        [&](const auto& held) {
            using T = std::decay_t<decltype(held)>;
            if constexpr (std::is_same_v<T, std::string_view>) {
                if (!json && is_bare_word(held)) {
                    out.append(held);
                } else {
                    append_json_string(out, held);
                }
            } else if constexpr (std::is_same_v<T, double>) {
                if (json && !std::isfinite(held)) {
                    out += "null";
                } else {
                    fmt::format_to(std::back_inserter(out), "{:.6g}", held);
                }
            } else {
                fmt::format_to(std::back_inserter(out), "{}", held);
            }
        },
        value);
}

class CallbackSink final : public spdlog::sinks::base_sink<std::mutex> {
public:
    explicit CallbackSink(std::function<void(std::string_view)> call) : call_(std::move(call)) {}

protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        call_(std::string_view(message.payload.data(), message.payload.size()));
    }
    void flush_() override {}

private:
    std::function<void(std::string_view)> call_;
};

spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warn:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
        case Level::off:
            return spdlog::level::off;
    }
    return spdlog::level::off;
}

}  // namespace

std::string_view level_name(Level level) {
    return kLevels[static_cast<std::size_t>(level)];
}

Result<Level> parse_level(std::string_view name) {
    for (std::size_t i = 0; i < kLevels.size(); ++i) {
        if (kLevels[i] == name) return static_cast<Level>(i);
    }
    return fail(Code::invalid_argument,
                "'{}' is not a log level; use debug, info, warn, error or off", name);
}

struct Logger::Impl {
    Level level = Level::off;
    bool json = false, colour = false;
    std::function<std::string(std::string_view)> scrub;
    std::unique_ptr<spdlog::logger> out;  // null: drop everything

    std::string json_line(Level at, std::string_view message, std::span<const Field> fields,
                          std::string_view trace_id) const;
    std::string text_line(Level at, std::string_view message, std::span<const Field> fields,
                          std::string_view trace_id) const;
};

std::string Logger::Impl::json_line(Level at, std::string_view message,
                                    std::span<const Field> fields,
                                    std::string_view trace_id) const {
    std::string line = R"({"time":")";
    append_timestamp(line, std::chrono::system_clock::now());
    line.append(R"(","level":")").append(level_name(at)).append(R"(","message":)");
    append_json_string(line, message);
    if (!trace_id.empty()) {
        line.append(R"(,"trace_id":)");
        append_json_string(line, trace_id);
    }
    for (const Field& field : fields) {
        line += ',';
        append_json_string(line, field.key);
        line += ':';
        append_value(line, field.value, true);
    }
    line += '}';
    return line;
}

std::string Logger::Impl::text_line(Level at, std::string_view message,
                                    std::span<const Field> fields,
                                    std::string_view trace_id) const {
    std::string line;
    append_timestamp(line, std::chrono::system_clock::now());
    line += ' ';
    if (colour) line.append(kColours[static_cast<std::size_t>(at)]);
    fmt::format_to(std::back_inserter(line), "{:<5}", level_name(at));
    if (colour) line.append(kPlain);
    line += ' ';
    for (const char c : message) line += (c == '\n' || c == '\r') ? ' ' : c;
    for (const Field& field : fields) {
        line.append(" ").append(field.key).append("=");
        append_value(line, field.value, false);
    }
    if (!trace_id.empty()) line.append(" trace=").append(trace_id);
    return line;
}

Result<std::unique_ptr<Logger>> Logger::create(Options options) {
    auto impl = std::make_unique<Impl>();
    impl->level = options.level;
    impl->scrub = std::move(options.scrub);
    const bool terminal = !options.sink && options.file.empty() && isatty(STDERR_FILENO) == 1;
    impl->json = options.format == Format::json ||
                 (options.format == Format::automatic && !terminal && !options.sink);
    impl->colour = terminal && !impl->json;
    spdlog::sink_ptr sink;
    try {
        if (options.sink) {
            sink = std::make_shared<CallbackSink>(std::move(options.sink));
        } else if (options.file.empty()) {
            sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
        } else {
            sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file);
        }
    } catch (const spdlog::spdlog_ex& problem) {
        const Code code = errno == EACCES ? Code::permission_denied : Code::not_found;
        return fail_on(options.file, code, "cannot open the log file {}: {}", options.file,
                       problem.what());
    }
    impl->out = std::make_unique<spdlog::logger>("dougong", std::move(sink));
    impl->out->set_pattern("%v");
    impl->out->set_level(to_spdlog(options.level));
    impl->out->flush_on(spdlog::level::debug);  // a crash must not eat the lines before it
    return std::unique_ptr<Logger>(new Logger(std::move(impl)));
}

Logger& Logger::none() {
    static Logger nothing(std::make_unique<Impl>());  // immutable: drops what it is given
    return nothing;
}

Logger::Logger(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Logger::~Logger() {
    flush();
}

bool Logger::enabled(Level level) const {
    return impl_->out && level >= impl_->level && level != Level::off;
}

void Logger::write(Level level, std::string_view message, std::span<const Field> fields,
                   std::string_view trace_id) const {
    if (!enabled(level)) return;
    std::string line = impl_->json ? impl_->json_line(level, message, fields, trace_id)
                                   : impl_->text_line(level, message, fields, trace_id);
    if (impl_->scrub) line = impl_->scrub(line);
    impl_->out->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

void Logger::debug(std::string_view message, Fields fields, std::string_view trace) const {
    write(Level::debug, message, std::span(fields.begin(), fields.size()), trace);
}
void Logger::info(std::string_view message, Fields fields, std::string_view trace) const {
    write(Level::info, message, std::span(fields.begin(), fields.size()), trace);
}
void Logger::warn(std::string_view message, Fields fields, std::string_view trace) const {
    write(Level::warn, message, std::span(fields.begin(), fields.size()), trace);
}
void Logger::error(std::string_view message, Fields fields, std::string_view trace) const {
    write(Level::error, message, std::span(fields.begin(), fields.size()), trace);
}

void Logger::flush() const {
    if (impl_->out) impl_->out->flush();
}

}  // namespace base::log
