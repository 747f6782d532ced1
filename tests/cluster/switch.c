/* A switch in user space, for kernels that cannot delay packets themselves. Every port is a TAP device with a rate in
 * each direction and a one-way latency.
 *
 * usage: switch PORTS BITS_PER_SECOND DELAY_MICROSECONDS     (0 bits per second: no limit)
 *
 * It makes the devices port0, port1, ..., and it forwards Ethernet frames between them until it is killed. The device
 * behind port k must have a hardware address that ends in k + 1; broadcasts go to all ports.
 *
 * A frame waits for its sender's link, then for its receiver's, then for the latency. Links are modelled by the moment
 * at which each becomes free. A frame stays with its sender until the link is nearly free, so that the sender's kernel
 * sees the queue and TCP slows down, as with a network card. A frame that would wait longer than MAX_WAIT for its
 * receiver's link is dropped, as by a switch with a full queue. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
    /* 32 nodes and head. */
    MAX_PORTS = 33,
    /* A whole packet before segmentation, with the header that describes the segmentation. */
    MAX_FRAME = 65536 + 64,
    /* Greatest number of frames taken from one port before the next port. */
    TURN = 16,
    VIRTIO = sizeof(struct virtio_net_hdr),
    ETHERNET = 14,
    /* Bytes of the headers that each segment repeats: Ethernet, IPv4, and TCP with time stamps. */
    SEGMENT_HEADERS = 66,
    /* Bytes on the wire that no program sees: preamble, check sequence, and gap between frames. */
    WIRE_OVERHEAD = 24,
};
static const int64_t SECOND = 1000000000;
static const int64_t MAX_WAIT = 20000000; /* ns */
/* A sender's next frame is taken this long before its link is free, as into the ring of a network card. The time is longer
 * than the delay of a timer and about as long as 64 KiB take at a gigabit. */
static const int64_t AHEAD = 500000; /* ns */
/* Timers of virtual machines are late: by 100 to 250 us if cores sleep, by 15 to 25 us if ranks keep them busy. So a sleep
 * ends earlier by the delay of most of the last sleeps, and the switch waits for the rest without sleeping. This costs
 * nothing while cores are idle, but it would cost the ranks time while they are busy. A sleep that was later than expected
 * changes the estimate by a quarter of the difference, an earlier one by a 32nd. Without sleeps the estimate decays as
 * slowly. */
enum { LATER = 4, EARLIER = 32 };

struct frame {
    struct frame *next;
    int64_t due; /* ns, time of arrival at its receiver */
    size_t length;
    unsigned char bytes[];
};

struct port {
    int device;
    int64_t sending_until;   /* ns, time at which its link towards the switch is free */
    int64_t receiving_until; /* ns, time at which its link from the switch is free */
    struct frame *first, *last;
};

static struct port ports[MAX_PORTS];
static int port_count;
static double bits_per_second;
static int64_t delay; /* ns */

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void open_port(int index) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    snprintf(request.ifr_name, IFNAMSIZ, "port%d", index);
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (device < 0) fail("/dev/net/tun");
    if (ioctl(device, TUNSETIFF, &request)) fail("TUNSETIFF");
    /* Frames of 64 KiB stay whole. With smaller frames the switch could not keep up with a gigabit. */
    if (ioctl(device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)) fail("TUNSETOFFLOAD");
    ports[index].device = device;
}

/* Returns the nanoseconds for which the segments of a frame occupy a link. */
static int64_t time_on_wire(const unsigned char *frame, size_t length) {
    if (bits_per_second <= 0) return 0;
    const struct virtio_net_hdr *header = (const void *)frame;
    size_t bytes = length - VIRTIO, segments = 1;
    if (header->gso_type && header->gso_size && bytes > header->hdr_len)
        segments = (bytes - header->hdr_len + header->gso_size - 1) / header->gso_size;
    double bits = 8.0 * (double)(bytes + (segments - 1) * SEGMENT_HEADERS + segments * WIRE_OVERHEAD);
    return (int64_t)(bits * (double)SECOND / bits_per_second);
}

/* Unused frames, each with room for MAX_FRAME. */
static struct frame *unused;

static struct frame *new_frame(void) {
    struct frame *frame = unused;
    if (frame)
        unused = frame->next;
    else
        frame = malloc(sizeof *frame + MAX_FRAME);
    if (!frame) fail("no memory for a frame");
    return frame;
}

static void give_back(struct frame *frame) {
    frame->next = unused;
    unused = frame;
}

static void queue(struct port *to, int64_t due, struct frame *frame) {
    frame->next = NULL;
    frame->due = due;
    if (to->last)
        to->last->next = frame;
    else
        to->first = frame;
    to->last = frame;
}

/* Returns the time at which the next frame may be taken from a port. */
static int64_t takes_from(const struct port *port) { return port->sending_until - AHEAD; }

/* Takes one frame from a port and queues it for its receivers. Returns false if there was none. */
static int take(int from) {
    struct frame *frame = new_frame();
    ssize_t got = read(ports[from].device, frame->bytes, MAX_FRAME);
    if (got <= VIRTIO + ETHERNET) {
        give_back(frame);
        return 0;
    }
    frame->length = (size_t)got;
    const unsigned char *destination = frame->bytes + VIRTIO;
    int low = 0, high = port_count - 1;
    if (!(destination[0] & 1)) {
        low = high = destination[5] - 1;
        if (low < 0 || low >= port_count) {
            give_back(frame);
            return 1;
        }
    }
    int64_t time = time_on_wire(frame->bytes, frame->length), start = now();
    struct port *sender = &ports[from];
    if (sender->sending_until < start) sender->sending_until = start;
    sender->sending_until += time;
    int used = 0;
    for (int to = low; to <= high; to++) {
        if (to == from) continue;
        struct port *receiver = &ports[to];
        /* The bits pass through: the receiver's link carries them at the same time if it is free. */
        int64_t until = receiver->receiving_until + time;
        if (until < sender->sending_until) until = sender->sending_until;
        if (until - sender->sending_until > MAX_WAIT) continue;
        receiver->receiving_until = until;
        struct frame *given = frame;
        if (used++) {
            /* A broadcast goes to several ports. */
            given = new_frame();
            given->length = frame->length;
            memcpy(given->bytes, frame->bytes, frame->length);
        }
        queue(receiver, until + delay, given);
    }
    if (!used) give_back(frame);
    return 1;
}

/* Hands over the frames that are due. Returns the time of the next one, or INT64_MAX. */
static int64_t deliver(struct port *to, int64_t time) {
    while (to->first && to->first->due <= time) {
        struct frame *frame = to->first;
        to->first = frame->next;
        if (!to->first) to->last = NULL;
        /* A device that is down or full drops the frame, as a wire does. */
        ssize_t written = write(to->device, frame->bytes, frame->length);
        (void)written;
        give_back(frame);
    }
    return to->first ? to->first->due : INT64_MAX;
}

int main(int count, char **arguments) {
    if (count != 4) {
        fprintf(stderr, "usage: switch PORTS BITS_PER_SECOND DELAY_MICROSECONDS\n");
        return 2;
    }
    port_count = atoi(arguments[1]);
    bits_per_second = atof(arguments[2]);
    delay = atoll(arguments[3]) * 1000;
    if (port_count < 2 || port_count > MAX_PORTS || bits_per_second < 0 || delay < 0) {
        fprintf(stderr, "switch: 2 to %d ports, a rate and a delay from 0\n", MAX_PORTS);
        return 2;
    }
    prctl(PR_SET_TIMERSLACK, 1);
    for (int i = 0; i < port_count; i++) open_port(i);
    int64_t early = 0, waited_for = INT64_MAX;
    int slept = 0;
    for (;;) {
        struct pollfd polled[MAX_PORTS];
        int64_t next = INT64_MAX, time = now();
        for (int i = 0; i < port_count; i++) {
            int64_t due = deliver(&ports[i], time);
            if (due < next) next = due;
            int64_t free = takes_from(&ports[i]);
            if (free > time && free < next) next = free;
            /* poll ignores a negative number. */
            polled[i].fd = free > time ? -1 : ports[i].device;
            polled[i].events = POLLIN;
        }
        struct timespec wait = {0, 0}, *limit = NULL;
        int64_t wake = 0;
        if (next != INT64_MAX) {
            if (next != waited_for && !slept) early -= early / EARLIER;
            slept = 0;
            waited_for = next;
            int64_t before = now(), left = next - before - early;
            if (left > 0) {
                wake = before + left;
                wait.tv_sec = left / SECOND;
                wait.tv_nsec = left % SECOND;
            }
            limit = &wait;
        }
        int ready = ppoll(polled, (nfds_t)port_count, limit, NULL);
        if (ready < 0 && errno != EINTR) fail("ppoll");
        if (ready == 0 && wake) {
            int64_t late = now() - wake;
            early += late > early ? (late - early) / LATER : (late - early) / EARLIER;
            slept = 1;
        }
        if (ready <= 0) continue;
        for (int i = 0; i < port_count; i++)
            if (polled[i].fd >= 0 && polled[i].revents & POLLIN)
                for (int taken = 0; taken < TURN && takes_from(&ports[i]) <= now() && take(i); taken++) continue;
    }
}
