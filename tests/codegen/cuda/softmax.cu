extern "C" __global__ void __launch_bounds__(256) kernel_8908137278a90c8a(
    const float* x,
    float* out,
    const int n0,
    const int n1,
    const int x_0_0,
    const int out_1_0)
{
    const int lane = threadIdx.x % 64;
    for (int p = blockIdx.x * 4; p < n0; p += gridDim.x * 4) {
        const bool mine = p + threadIdx.x / 64 < n0;
        const int row = mine ? p + threadIdx.x / 64 : n0 - 1;
        const int end = !mine ? 0 : n1;
        float t1 = -INFINITY;
        float v0[16];
        #pragma unroll
        for (int e = 0; e < 4; ++e) {
            const int j = e * 256 + lane * 4;
            if (j < end) {
                const auto x_1 = sg_load<float, 4>(x + row * x_0_0 + j);
                #pragma unroll
                for (int k = 0; k < 4; ++k) {
                    v0[e * 4 + k] = x_1.at[k];
                    t1 = sg_merge_supremum_f32(t1, v0[e * 4 + k]);
                }
            }
        }
        for (int k = 1; k < 32; k *= 2) {
            const float t2 = sg_shuffle_xor(t1, k);
            if (threadIdx.x & k) {
                t1 = sg_merge_supremum_f32(t2, t1);
            }
            else {
                t1 = sg_merge_supremum_f32(t1, t2);
            }
        }
        __shared__ float shared_t1[8];
        if (threadIdx.x % 32 == 0) {
            shared_t1[threadIdx.x / 32] = t1;
        }
        __syncthreads();
        t1 = shared_t1[threadIdx.x / 64 * 2 + threadIdx.x % 2];
        for (int k = 1; k < 2; k *= 2) {
            const float t3 = sg_shuffle_xor(t1, k);
            if (threadIdx.x & k) {
                t1 = sg_merge_supremum_f32(t3, t1);
            }
            else {
                t1 = sg_merge_supremum_f32(t1, t3);
            }
        }
        __syncthreads();
        const float v1 = t1;  // test_cuda_printer.py:47  "softmax": lambda: [sg.softmax(x, axis=1)],
        const bool v2 = sg_isfinite_f32(v1);
        const float v3 = v2 ? v1 : 0.0f;
        const float v4 = fabsf(v3);
        const bool v5 = v4 > 224.0f;
        const float v6 = v5 ? v3 : 0.0f;
        const float v7 = v3 - v6;
        const float v8 = v7 * 1.442695f;
        const float v9 = rintf(v8);
        const float v10 = v9 * 0.69314575f;
        const float v11 = v7 - v10;
        const float v12 = v9 * 1.4286068e-06f;
        const float v13 = v11 - v12;
        const float v14 = -v9;
        float t4 = 0.0f;
        float t5 = 0.0f;
        float t6 = 0.0f;
        float v16[16];
        #pragma unroll
        for (int e = 0; e < 4; ++e) {
            const int j = e * 256 + lane * 4;
            if (j < end) {
                #pragma unroll
                for (int k = 0; k < 4; ++k) {
                    const float v15 = v0[e * 4 + k] - v6;
                    v16[e * 4 + k] = sg_scaled_exp_f32(v15, v13, v14);
                    t4 = t4 + v16[e * 4 + k];
                }
            }
            if (e % 4 == 3 || e == 3) {
                t5 = sg_gather_f32(t5, t4, t6);
                t4 = 0.0f;
            }
        }
        t4 = t5 + t6;
        for (int k = 1; k < 32; k *= 2) {
            const float t7 = sg_shuffle_xor(t4, k);
            t4 = t4 + t7;
        }
        __shared__ float shared_t4[8];
        if (threadIdx.x % 32 == 0) {
            shared_t4[threadIdx.x / 32] = t4;
        }
        __syncthreads();
        t4 = shared_t4[threadIdx.x / 64 * 2 + threadIdx.x % 2];
        for (int k = 1; k < 2; k *= 2) {
            const float t8 = sg_shuffle_xor(t4, k);
            t4 = t4 + t8;
        }
        __syncthreads();
        const float v17 = t4;
        const float v18 = 1.0f / v17;
        #pragma unroll
        for (int e = 0; e < 4; ++e) {
            const int j = e * 256 + lane * 4;
            if (j < end) {
                sg_vector<float, 4> out_2;
                #pragma unroll
                for (int k = 0; k < 4; ++k) {
                    const float v19 = v16[e * 4 + k] * v18;
                    out_2.at[k] = v19;
                }
                sg_store(out + row * out_1_0 + j, out_2);
            }
        }
    }
}
SG_KERNEL(kernel_8908137278a90c8a)
