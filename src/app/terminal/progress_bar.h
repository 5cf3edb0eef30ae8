#pragma once
// One line that shows how far a transfer is, with rate and time left. Writes nothing when stderr is
// not a terminal.

#include <cstdint>
#include <string>
#include <string_view>

#include "app/terminal/terminal.h"
#include "base/core/clock.h"

namespace app {

/// "12.3 MiB", "987 B".
std::string format_bytes(double bytes);
/// "3 s", "2 min 5 s", "1 h 4 min".
std::string format_seconds(double seconds);

class ProgressBar {
public:
    ProgressBar(const Terminal& terminal, const base::Clock& clock, std::string label);
    ~ProgressBar();  ///< ends the line if one was drawn
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    /// total_bytes 0: not known yet. Draws at most ten times a second.
    void update(std::uint64_t done_bytes, std::uint64_t total_bytes);
    void finish();

private:
    void draw(base::Instant now);

    const Terminal& terminal_;
    const base::Clock& clock_;
    std::string label_;
    std::uint64_t done_bytes_ = 0, total_bytes_ = 0;
    std::uint64_t first_bytes_ = 0;  ///< already there at the first update: not part of the rate
    base::Instant first_{}, drawn_{};
    bool any_ = false, line_open_ = false;
};

/// The text of the bar's line, at most `width` columns. Pure, for tests.
std::string progress_line(std::string_view label, std::uint64_t done_bytes,
                          std::uint64_t total_bytes, double bytes_per_s, std::size_t width);

}  // namespace app
