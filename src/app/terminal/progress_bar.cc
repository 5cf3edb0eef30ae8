#include "app/terminal/progress_bar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace app {

std::string format_bytes(double bytes) {
    constexpr std::array<std::string_view, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    while (bytes >= 1024.0 && unit + 1 < kUnits.size()) {
        bytes /= 1024.0;
        ++unit;
    }
    return unit == 0 ? fmt::format("{:.0f} B", bytes)
                     : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string format_seconds(double seconds) {
    const auto whole = static_cast<std::uint64_t>(std::max(0.0, seconds) + 0.5);
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
    return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

std::string progress_line(std::string_view label, std::uint64_t done_bytes,
                          std::uint64_t total_bytes, double bytes_per_s, std::size_t width) {
    const auto done = static_cast<double>(done_bytes);
    const auto total = static_cast<double>(total_bytes);
    std::string facts = format_bytes(done);
    if (total_bytes > 0) facts += fmt::format(" of {}", format_bytes(total));
    if (bytes_per_s > 0) {
        facts += fmt::format("  {}/s", format_bytes(bytes_per_s));
        if (total > done)
            facts += fmt::format("  {} left", format_seconds((total - done) / bytes_per_s));
    }
    std::string line(label);
    constexpr std::size_t kBarMax = 24;
    if (total_bytes > 0 && label.size() + facts.size() + kBarMax + 12 <= width) {
        const double share = std::min(1.0, done / total);
        const auto full = static_cast<std::size_t>(share * kBarMax);
        line += fmt::format("  [{}{}] {:3.0f} %", std::string(full, '#'),
                            std::string(kBarMax - full, '.'), share * 100);
    }
    line += "  " + facts;
    if (line.size() > width) line.resize(width);
    return line;
}

ProgressBar::ProgressBar(const Terminal& terminal, const base::Clock& clock, std::string label)
    : terminal_(terminal), clock_(clock), label_(std::move(label)) {}

ProgressBar::~ProgressBar() {
    finish();
}

void ProgressBar::update(std::uint64_t done_bytes, std::uint64_t total_bytes) {
    const base::Instant now = clock_.now();
    if (!any_) {
        any_ = true;
        first_ = now;
        first_bytes_ = done_bytes;
    }
    done_bytes_ = done_bytes;
    total_bytes_ = total_bytes;
    if (!terminal_.stderr_is_terminal()) return;
    if (line_open_ && base::to_millis(now - drawn_) < 100) return;
    draw(now);
}

void ProgressBar::draw(base::Instant now) {
    const double seconds = base::to_seconds(now - first_);
    const double rate =
        seconds > 0.2
            ? static_cast<double>(done_bytes_ - std::min(first_bytes_, done_bytes_)) / seconds
            : 0;
    terminal_.err("\r\x1b[K" +
                  progress_line(label_, done_bytes_, total_bytes_, rate, terminal_.width() - 1));
    drawn_ = now;
    line_open_ = true;
}

void ProgressBar::finish() {
    if (!line_open_) return;
    draw(clock_.now());
    terminal_.err("\n");
    line_open_ = false;
}

}  // namespace app
