#pragma once
// Counters, gauges and histograms, shown in Prometheus' text format. Adding to one is a relaxed
// atomic operation; only creating one and scraping take a lock.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace base::metrics {

/// Label names and values, e.g. {{"route", "/v1/models"}, {"status", "200"}}.
using Labels = std::vector<std::pair<std::string, std::string>>;

class Counter {
public:
    void add(double amount = 1.0) { value_.fetch_add(amount, std::memory_order_relaxed); }
    double value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<double> value_{0.0};
};

class Gauge {
public:
    void set(double value) { value_.store(value, std::memory_order_relaxed); }
    void add(double amount) { value_.fetch_add(amount, std::memory_order_relaxed); }
    double value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<double> value_{0.0};
};

class Histogram {
public:
    /// `bounds`: upper bounds, ascending, finite; +Inf is added.
    explicit Histogram(std::vector<double> bounds);
    void observe(double value);

    const std::vector<double>& bounds() const { return bounds_; }
    /// Not cumulative; one more than bounds(). A scrape may see an observation in part.
    std::vector<std::uint64_t> counts() const;
    double sum() const { return sum_.load(std::memory_order_relaxed); }

private:
    std::vector<double> bounds_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;
    std::atomic<double> sum_{0.0};
};

/// `count` bounds from `first`, each `factor` times the one before.
std::vector<double> exponential_bounds(double first, double factor, std::size_t count);

enum class Kind : std::uint8_t { counter, gauge, histogram };

/// Receives samples whose values live elsewhere (engine statistics), at scrape time.
class Writer {
public:
    virtual ~Writer() = default;
    /// Samples of one name must follow each other. Pre: valid names; kind is not histogram.
    virtual void sample(Kind kind, std::string_view name, std::string_view help,
                        const Labels& labels, double value) = 0;
};

/// Thread-safe. Returned references live as long as the registry; keep them for the hot path.
/// Pre (checked): names and label names match Prometheus' grammar, one kind and help per name.
class Registry {
public:
    Registry();
    ~Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    Counter& counter(std::string_view name, std::string_view help, Labels labels = {});
    Gauge& gauge(std::string_view name, std::string_view help, Labels labels = {});
    Histogram& histogram(std::string_view name, std::string_view help,
                         std::span<const double> bounds, Labels labels = {});
    /// Called at each scrape, after the registry's own metrics. Names must not collide with them.
    void add_collector(std::function<void(Writer&)> collector);

    /// Text exposition format 0.0.4, families sorted by name.
    std::string exposition() const;
    static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace base::metrics
