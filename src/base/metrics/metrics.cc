#include "base/metrics/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <mutex>
#include <type_traits>

#include "base/core/check.h"

namespace base::metrics {
namespace {

bool name_char(char c, bool first, bool colon_allowed) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (c == ':' && colon_allowed) || (!first && c >= '0' && c <= '9');
}

bool valid_name(std::string_view name, bool colon_allowed) {
    if (name.empty()) return false;
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (!name_char(name[i], i == 0, colon_allowed)) return false;
    }
    return true;
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
    for (const char c : text) {
        if (c == '\\') {
            out += "\\\\";
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '"' && quotes) {
            out += "\\\"";
        } else {
            out += c;
        }
    }
}

/// `le` comes last and only for histogram buckets.
void append_labels(std::string& out, const Labels& labels, std::string_view le = {}) {
    if (labels.empty() && le.empty()) return;
    out += '{';
    bool first = true;
    for (const auto& [name, value] : labels) {
        if (!std::exchange(first, false)) out += ',';
        out.append(name).append("=\"");
        append_escaped(out, value, true);
        out += '"';
    }
    if (!le.empty()) {
        if (!first) out += ',';
        out.append("le=\"").append(le).append("\"");
    }
    out += '}';
}

std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    if (value == std::floor(value) && std::abs(value) < 1e15) {
        return fmt::format("{}", static_cast<std::int64_t>(value));
    }
    return fmt::format("{}", value);  // shortest text that reads back as the same number
}

std::string_view kind_name(Kind kind) {
    switch (kind) {
        case Kind::counter:
            return "counter";
        case Kind::gauge:
            return "gauge";
        case Kind::histogram:
            return "histogram";
    }
    return "untyped";
}

void append_header(std::string& out, std::string_view name, std::string_view help, Kind kind) {
    out.append("# HELP ").append(name).append(" ");
    append_escaped(out, help, false);
    out.append("\n# TYPE ").append(name).append(" ").append(kind_name(kind)).append("\n");
}

void append_sample(std::string& out, std::string_view name, const Labels& labels, double value) {
    out.append(name);
    append_labels(out, labels);
    out.append(" ").append(number(value)).append("\n");
}

void append_histogram(std::string& out, std::string_view name, const Labels& labels,
                      const Histogram& histogram) {
    const std::vector<std::uint64_t> counts = histogram.counts();
    const auto& bounds = histogram.bounds();
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        cumulative += counts[i];
        out.append(name).append("_bucket");
        append_labels(out, labels, i < bounds.size() ? number(bounds[i]) : "+Inf");
        out.append(fmt::format(" {}\n", cumulative));
    }
    append_sample(out, std::string(name) + "_sum", labels, histogram.sum());
    append_sample(out, std::string(name) + "_count", labels, static_cast<double>(cumulative));
}

class TextWriter final : public Writer {
public:
    void sample(Kind kind, std::string_view name, std::string_view help, const Labels& labels,
                double value) override {
        DG_CHECK(valid_name(name, true), name);
        std::string& text = families[std::string(name)];
        if (text.empty()) append_header(text, name, help, kind);
        append_sample(text, name, labels, value);
    }
    std::map<std::string, std::string> families;
};

}  // namespace

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)),
      counts_(std::make_unique<std::atomic<std::uint64_t>[]>(bounds_.size() + 1)) {
    DG_CHECK(std::ranges::is_sorted(bounds_, std::less_equal<>{}) || bounds_.size() < 2);
}

void Histogram::observe(double value) {
    // NaN compares false with every bound and lands in +Inf, where it is at least counted.
    const auto at = std::ranges::find_if(bounds_, [&](double bound) { return value <= bound; });
    counts_[static_cast<std::size_t>(at - bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<std::uint64_t> Histogram::counts() const {
    std::vector<std::uint64_t> counts(bounds_.size() + 1);
    for (std::size_t i = 0; i < counts.size(); ++i) {
        counts[i] = counts_[i].load(std::memory_order_relaxed);
    }
    return counts;
}

std::vector<double> exponential_bounds(double first, double factor, std::size_t count) {
    std::vector<double> bounds(count);
    for (double& bound : bounds) {
        bound = first;
        first *= factor;
    }
    return bounds;
}

struct Registry::Impl {
    struct Family {
        Kind kind = Kind::counter;
        std::string help;
        // std::map never moves its values, so references handed out stay good.
        std::map<Labels, Counter> counters;
        std::map<Labels, Gauge> gauges;
        std::map<Labels, Histogram> histograms;
    };

    Family& family(std::string_view name, std::string_view help, Kind kind, const Labels& labels);

    mutable std::mutex mutex;  // guards everything; never held while calling collectors
    std::map<std::string, Family, std::less<>> families;
    std::vector<std::function<void(Writer&)>> collectors;
};

Registry::Impl::Family& Registry::Impl::family(std::string_view name, std::string_view help,
                                               Kind kind, const Labels& labels) {
    DG_CHECK(valid_name(name, true), name);
    for (const auto& [label, unused] : labels) DG_CHECK(valid_name(label, false), label);
    const auto found = families.find(name);
    if (found != families.end()) {
        DG_CHECK(found->second.kind == kind, name);
        return found->second;
    }
    Family& family = families[std::string(name)];
    family.kind = kind;
    family.help = std::string(help);
    return family;
}

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Counter& Registry::counter(std::string_view name, std::string_view help, Labels labels) {
    const std::lock_guard lock(impl_->mutex);
    return impl_->family(name, help, Kind::counter, labels).counters[std::move(labels)];
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, Labels labels) {
    const std::lock_guard lock(impl_->mutex);
    return impl_->family(name, help, Kind::gauge, labels).gauges[std::move(labels)];
}

Histogram& Registry::histogram(std::string_view name, std::string_view help,
                               std::span<const double> bounds, Labels labels) {
    const std::lock_guard lock(impl_->mutex);
    auto& histograms = impl_->family(name, help, Kind::histogram, labels).histograms;
    return histograms
        .try_emplace(std::move(labels), std::vector<double>(bounds.begin(), bounds.end()))
        .first->second;
}

void Registry::add_collector(std::function<void(Writer&)> collector) {
    const std::lock_guard lock(impl_->mutex);
    impl_->collectors.push_back(std::move(collector));
}

std::string Registry::exposition() const {
    TextWriter writer;
    std::vector<std::function<void(Writer&)>> collectors;
    {
        const std::lock_guard lock(impl_->mutex);
        collectors = impl_->collectors;
        for (const auto& [name, family] : impl_->families) {
            std::string& text = writer.families[name];
            append_header(text, name, family.help, family.kind);
            for (const auto& [labels, metric] : family.counters) {
                append_sample(text, name, labels, metric.value());
            }
            for (const auto& [labels, metric] : family.gauges) {
                append_sample(text, name, labels, metric.value());
            }
            for (const auto& [labels, metric] : family.histograms) {
                append_histogram(text, name, labels, metric);
            }
        }
    }
    for (const auto& collector : collectors) collector(writer);
    std::string out;
    for (const auto& [name, text] : writer.families) out += text;
    return out;
}

}  // namespace base::metrics
