#pragma once
// Carries durable lines from the log to one shipper on a thread of its own. The queue between them
// is the log itself, on the disk: a slow or absent receiver costs no memory, slows no append and
// loses nothing; it only lags, and says by how much.

#include <cstdint>
#include <memory>
#include <string>

#include "base/core/result.h"
#include "sphere/audit/audit_log.h"
#include "sphere/audit/shipper.h"

namespace sphere::audit {

struct ShippingOptions {
    std::size_t batch_lines_max = 500;
    std::size_t batch_bytes_max = 1 << 20;                        ///< one line may go over it
    base::Duration retry_first = std::chrono::milliseconds(100);  ///< doubled after each failure
    base::Duration retry_max = std::chrono::seconds(30);
};

struct ShippingState {
    std::uint64_t shipped_seq = 0;  ///< acknowledged by the receiver
    std::uint64_t lag = 0;          ///< durable events behind it
    std::uint64_t failures = 0;     ///< since the last success
    std::string last_error;         ///< empty after a success
};

/// Thread-safe.
class Shipping {
public:
    /// Starts after the position kept in `<dir>/shipped-<name>`; from the first event without one.
    /// `log` must outlive it. Errors: those of reading the position.
    static base::Result<std::unique_ptr<Shipping>> start(const AuditLog& log,
                                                         std::unique_ptr<Shipper> shipper,
                                                         ShippingOptions options = {});
    ~Shipping();  ///< stop()
    /// Ends after the batch under way. What was not shipped is shipped by the next start.
    void stop();
    ShippingState state() const;

private:
    struct Impl;
    explicit Shipping(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace sphere::audit
