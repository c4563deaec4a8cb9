/* One pass over a log in memory: lines, their level by the first word, exact groups of tracebacks. What the Rust pass is measured beside. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t mix(uint64_t hash, const char *at, size_t len) {
    while (len >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
        at += 8;
        len -= 8;
    }
    uint64_t last = 0;
    memcpy(&last, at, len);
    hash = (hash ^ last) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 32);
}

static uint64_t keys[4096], counts[4096];

static void count(uint64_t hash) {
    size_t slot = hash & 4095;
    for (int tries = 0; tries < 4096; tries++, slot = (slot + 1) & 4095) {
        if (keys[slot] == hash || !keys[slot]) {
            keys[slot] = hash;
            counts[slot]++;
            return;
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    FILE *file = fopen(argv[1], "rb");
    if (!file) return 2;
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(size + 1);
    if (!text || fread(text, 1, size, file) != size) return 2;
    for (int run = 0; run < atoi(argv[2]); run++) {
        struct timespec from, to;
        memset(keys, 0, sizeof keys);
        memset(counts, 0, sizeof counts);
        clock_gettime(CLOCK_MONOTONIC, &from);
        uint64_t lines = 0, levels[4] = {0}, group = 0;
        int within = 0;
        for (const char *at = text, *end = text + size; at < end;) {
            const char *stop = memchr(at, '\n', (size_t)(end - at));
            if (!stop) stop = end;
            size_t len = (size_t)(stop - at);
            lines++;
            if (len > 5 && !memcmp(at, "ERROR ", 6)) {
                if (within) count(group);
                levels[0]++;
                within = 1;
                group = 3;
            } else if (len > 4 && (!memcmp(at, "INFO ", 5) || !memcmp(at, "DEBUG", 5) || !memcmp(at, "WARNI", 5))) {
                levels[at[0] == 'I' ? 1 : at[0] == 'W' ? 2 : 3]++;
                if (within) count(group);
                within = 0;
            } else if (within) {
                /* Of the line that names the exception only what stands before its value. */
                const char *colon = at[0] == ' ' ? NULL : memchr(at, ':', len);
                group = mix(group, at, colon ? (size_t)(colon - at) : len);
            }
            at = stop + 1;
        }
        if (within) count(group);
        clock_gettime(CLOCK_MONOTONIC, &to);
        uint64_t groups = 0;
        for (int slot = 0; slot < 4096; slot++) groups += counts[slot] > 0;
        double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
        printf("%.6f %llu %llu %llu\n", seconds, (unsigned long long)lines, (unsigned long long)levels[0], (unsigned long long)groups);
    }
    return 0;
}
